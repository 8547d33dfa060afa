import { describe, expect, it } from '@jest/globals';
import type { Rotation } from '../config/provider-shapes.js';
import type { Failure } from '../provider/verdict.js';
import { aConnection, inSeconds } from '../../test/support/connections.js';
import type { ClaimedConnection } from './connection.js';
import {
  isResendSafe,
  ownTrouble,
  settleBeforeAsking,
  settleFailure,
  type ProviderTraits,
} from './transition.js';

const HALF = (): number => 0.5;
const LIFE_S = 1_000;
/** A token is served until shortly before its end, so that is when a probe is due. */
const PUT_OFF_S = LIFE_S - 45;

function claimed(changes: Partial<ClaimedConnection> = {}): ClaimedConnection {
  const lease = { leaseOwner: 'me', leaseUntil: inSeconds(20), crashed: false, unansweredS: null };
  return { ...aConnection({ expiresAt: inSeconds(LIFE_S) }), ...lease, ...changes };
}

const rotating = (rotation: Rotation): ProviderTraits => ({
  rotation,
  graceSeconds: 30,
  mintsFromCredential: false,
});
const UNKNOWN = rotating('unknown');
const SAFE = rotating('none');
const MINTING: ProviderTraits = { ...rotating('strict'), mintsFromCredential: true };

const DEAD: Failure = { kind: 'grant_refused', code: 'invalid_grant' };
const DOUBT: Failure = { kind: 'grant_doubtful', code: 'refused_without_code' };
const OURS: Failure = { kind: 'misconfigured', code: 'client_refused' };
const unavailable = (mayHaveActed: boolean, retryAfterSeconds: number | null = null): Failure => ({
  kind: 'unavailable',
  code: 'timed_out',
  mayHaveActed,
  retryAfterSeconds,
});

describe('a refusal of our registration', () => {
  const again = claimed({ lastError: 'client_refused', consecutiveFailures: 1 });

  it.each([
    ['the first of this connection', claimed({ lastError: 'timed_out', consecutiveFailures: 1 }), false],
    ['while the provider knows nobody', again, true],
  ] as const)('is the provider’s: %s', (_, connection, isMisconfigured) => {
    expect(ownTrouble(connection, OURS, isMisconfigured)).toBe(OURS);
  });

  it.each([
    [1, 60],
    [2, 300],
    [3, 1_800],
    [40, 1_800],
  ])(
    'is the connection’s own once the provider has taken it from another: after %i, %i s',
    (times, waitS) => {
      const failure = ownTrouble({ ...again, consecutiveFailures: times }, OURS, false);
      const settled = settleFailure({ ...again, consecutiveFailures: times }, failure, UNKNOWN, HALF);
      expect(settled).toMatchObject({ status: 'active', lastError: 'client_refused', unknownOutcome: null });
      expect(settled.renewInS).toBeGreaterThanOrEqual(waitS);
    },
  );

  it('is nothing that a grant, or the way there, can be refused by', () => {
    for (const failure of [DEAD, DOUBT, unavailable(true)])
      expect(ownTrouble(claimed({ lastError: failure.code, consecutiveFailures: 2 }), failure, false)).toBe(
        failure,
      );
  });
});

describe('whether a refresh token may be sent twice', () => {
  it.each([
    ['none', null, true],
    ['none', false, true],
    ['grace', null, true],
    ['strict', null, false],
    ['strict', false, false],
    ['strict', true, true],
    ['unknown', null, false],
    ['unknown', false, false],
    ['unknown', true, true],
  ] as const)('rotation %s, last seen kept: %s → %s', (rotation, refreshTokenKept, safe) => {
    expect(isResendSafe(claimed({ refreshTokenKept }), rotating(rotation))).toBe(safe);
  });

  it('does not matter where tokens are minted from a credential', () => {
    expect(isResendSafe(claimed({ refreshTokenKept: false }), MINTING)).toBe(true);
  });
});

describe('after a crash', () => {
  const crashed = (changes: Partial<ClaimedConnection> = {}): ClaimedConnection =>
    claimed({ crashed: true, crashes: 1, ...changes });

  it('without one, the provider is asked', () => {
    expect(settleBeforeAsking(claimed(), UNKNOWN)).toBeNull();
  });

  it.each([SAFE, rotating('grace'), MINTING])('what may be sent twice is asked at once: %j', (provider) => {
    expect(settleBeforeAsking(crashed({ crashes: 99 }), provider)).toBeNull();
  });

  it.each(['strict', 'unknown'] as const)('%s: asks as late as the token in hand allows', (rotation) => {
    expect(settleBeforeAsking(crashed(), rotating(rotation))).toEqual({
      status: 'active',
      statusReason: null,
      lastError: 'lost_in_flight',
      consecutiveFailures: 1,
      refusals: 0,
      unknownOutcome: 'crash',
      unanswered: false,
      renewInS: PUT_OFF_S,
    });
  });

  it.each([
    ['has less than 45 s left', { expiresAt: inSeconds(45) }],
    ['has expired', { expiresAt: inSeconds(-1) }],
    ['is not there', { sealedToken: null, expiresAt: null }],
    ['never expires', { expiresAt: null }],
    ['was itself reported', { reportedVersion: 1 }],
    ['was waited for before', { unknownOutcome: 'crash' as const }],
  ])('probes now where the token %s', (_why, changes) => {
    expect(settleBeforeAsking(crashed(changes), UNKNOWN)).toBeNull();
  });

  it('allows three probes, then gives up', () => {
    for (const crashes of [1, 2, 3]) {
      expect(settleBeforeAsking(crashed({ crashes, unknownOutcome: 'crash' }), UNKNOWN)).toBeNull();
    }
    expect(settleBeforeAsking(crashed({ crashes: 4, unknownOutcome: 'crash' }), UNKNOWN)).toMatchObject({
      status: 'reauthorization_required',
      statusReason: 'lost_in_flight',
      renewInS: null,
    });
  });

  it.each([DEAD, DOUBT])('a probe that is refused tells that the grant was spent: %j', (failure) => {
    for (const probe of [
      crashed(),
      claimed({ unknownOutcome: 'crash' }),
      claimed({ unknownOutcome: 'no_answer' }),
    ]) {
      expect(settleFailure(probe, failure, UNKNOWN, HALF)).toMatchObject({
        status: 'reauthorization_required',
        statusReason: 'lost_in_flight',
        unknownOutcome: null,
        renewInS: null,
      });
    }
  });

  it.each([OURS, unavailable(false), unavailable(true)])(
    'a probe without a verdict leaves the next attempt a probe: %j',
    (failure) => {
      expect(settleFailure(crashed(), failure, UNKNOWN, HALF).unknownOutcome).not.toBeNull();
      const second = claimed({ unknownOutcome: 'crash' });
      expect(settleFailure(second, failure, UNKNOWN, HALF).unknownOutcome).not.toBeNull();
    },
  );

  it('a refusal of what may be sent twice is an ordinary one', () => {
    expect(settleFailure(crashed(), DOUBT, SAFE, HALF).status).toBe('suspect');
    expect(settleFailure(crashed(), DEAD, SAFE, HALF).statusReason).toBe('invalid_grant');
  });
});

describe('a grant that is refused', () => {
  it.each(['active', 'suspect'] as const)('surely: dies at once, from %s', (status) => {
    expect(settleFailure(claimed({ status, refusals: 1 }), DEAD, UNKNOWN, HALF)).toEqual({
      status: 'reauthorization_required',
      statusReason: 'invalid_grant',
      lastError: 'invalid_grant',
      consecutiveFailures: 1,
      refusals: 1,
      unknownOutcome: null,
      unanswered: false,
      renewInS: null,
    });
  });

  it('perhaps: is suspected, tried again after 1, 5 and 30 min, and dies', () => {
    let connection = claimed();
    const told = [1, 2, 3, 4].map(() => {
      const settled = settleFailure(connection, DOUBT, UNKNOWN, HALF);
      connection = claimed(settled);
      return [settled.status, settled.refusals, settled.consecutiveFailures, settled.renewInS];
    });
    expect(told).toEqual([
      ['suspect', 1, 1, 60],
      ['suspect', 2, 2, 300],
      ['suspect', 3, 3, 1_800],
      ['reauthorization_required', 4, 4, null],
    ]);
  });

  it('perhaps: dies at once where its token was itself reported', () => {
    const reported = claimed({ tokenVersion: 7, reportedVersion: 7 });
    expect(settleFailure(reported, DOUBT, UNKNOWN, HALF).status).toBe('reauthorization_required');
    const older = claimed({ tokenVersion: 7, reportedVersion: 6 });
    expect(settleFailure(older, DOUBT, UNKNOWN, HALF).status).toBe('suspect');
  });

  it('is tried every hour where it is a stored credential', () => {
    expect(settleFailure(claimed(), DEAD, MINTING, HALF).renewInS).toBe(3_600);
    const dead = claimed({ status: 'reauthorization_required', refusals: 4 });
    expect(settleFailure(dead, DOUBT, MINTING, HALF)).toMatchObject({
      status: 'reauthorization_required',
      renewInS: 3_600,
    });
  });
});

describe('a failure that is not about the grant', () => {
  it.each(['active', 'suspect', 'paused', 'reauthorization_required'] as const)(
    'leaves %s as it is',
    (status) => {
      for (const failure of [OURS, unavailable(true), unavailable(false)]) {
        const before = claimed({ status, statusReason: 'why', refusals: 2, consecutiveFailures: 4 });
        expect(settleFailure(before, failure, UNKNOWN, HALF)).toMatchObject({
          status,
          statusReason: 'why',
          refusals: 2,
          lastError: failure.code,
          consecutiveFailures: 5,
        });
      }
    },
  );

  it.each([
    [0, 0.5],
    [1, 1],
    [4, 8],
    [20, 150],
  ])('after %i failures backs off for %d s at half the jitter', (consecutiveFailures, seconds) => {
    const before = claimed({ consecutiveFailures });
    expect(settleFailure(before, unavailable(false), UNKNOWN, HALF).renewInS).toBe(seconds);
    expect(settleFailure(before, unavailable(true), SAFE, HALF).renewInS).toBe(seconds);
  });

  it('waits for as long as the provider says', () => {
    expect(settleFailure(claimed(), unavailable(false, 90), UNKNOWN, HALF).renewInS).toBe(90);
    expect(settleFailure(claimed(), unavailable(false, 0), UNKNOWN, HALF).renewInS).toBe(0.5);
  });

  it.each(['strict', 'unknown'] as const)('%s: a lost answer is probed as late as possible', (rotation) => {
    const settled = settleFailure(claimed(), unavailable(true), rotating(rotation), HALF);
    expect(settled).toMatchObject({ status: 'active', unknownOutcome: 'no_answer', renewInS: PUT_OFF_S });
    const patient = settleFailure(claimed(), unavailable(true, 960), rotating(rotation), HALF);
    expect(patient.renewInS).toBe(960);
  });

  it.each(['none', 'grace'] as const)('%s: a lost answer is simply asked for again', (rotation) => {
    const settled = settleFailure(claimed(), unavailable(true), rotating(rotation), HALF);
    expect(settled).toMatchObject({ unknownOutcome: null, renewInS: 0.5 });
  });

  it('with no token to wait for, a lost answer is probed after the backoff', () => {
    for (const changes of [
      { sealedToken: null, expiresAt: null },
      { expiresAt: inSeconds(-9) },
      { reportedVersion: 1 },
    ]) {
      const settled = settleFailure(claimed(changes), unavailable(true), UNKNOWN, HALF);
      expect(settled).toMatchObject({ unknownOutcome: 'no_answer', renewInS: 0.5 });
    }
  });
});
