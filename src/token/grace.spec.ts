import { describe, expect, it } from '@jest/globals';
import type { Failure } from '../provider/verdict.js';
import { aConnection, inSeconds } from '../../test/support/connections.js';
import type { ClaimedConnection } from './connection.js';
import {
  isCountedRefusal,
  isResendSafe,
  resendableForS,
  settleBeforeAsking,
  settleFailure,
  type ProviderTraits,
} from './transition.js';

const HALF = (): number => 0.5;
const LIFE_S = 1_000;
/** A token is served until shortly before its end, so that is when a probe is due. */
const PUT_OFF_S = LIFE_S - 45;
const GRACE_S = 30;
const GRACE: ProviderTraits = { rotation: 'grace', graceSeconds: GRACE_S, mintsFromCredential: false };

function claimed(changes: Partial<ClaimedConnection> = {}): ClaimedConnection {
  const lease = { leaseOwner: 'me', leaseUntil: inSeconds(20), crashed: false, unansweredS: null };
  return { ...aConnection({ expiresAt: inSeconds(LIFE_S) }), ...lease, ...changes };
}

const DEAD: Failure = { kind: 'grant_refused', code: 'invalid_grant' };
const DOUBT: Failure = { kind: 'grant_doubtful', code: 'refused_without_code' };
const OURS: Failure = { kind: 'misconfigured', code: 'client_refused' };
const unavailable = (mayHaveActed: boolean): Failure => ({
  kind: 'unavailable',
  code: 'timed_out',
  mayHaveActed,
  retryAfterSeconds: null,
});

describe('a grace', () => {
  const within = { unansweredS: GRACE_S - 1 };
  const over = { unansweredS: GRACE_S };

  it.each([
    ['nothing is out', null, true],
    ['it has just been sent', 0, true],
    ['the database’s clock went back', -3, true],
    ['it lasts', GRACE_S - 0.001, true],
    ['it is over', GRACE_S, false],
    ['it is long over', 1_767_225_600, false],
  ] as const)('lets a refresh token be sent again while %s: %s s → %s', (_when, unansweredS, safe) => {
    expect(isResendSafe(claimed({ unansweredS }), GRACE)).toBe(safe);
    expect(isResendSafe(claimed({ unansweredS, refreshTokenKept: true }), GRACE)).toBe(true);
    expect(isResendSafe(claimed({ unansweredS }), { ...GRACE, rotation: 'none' })).toBe(true);
    expect(isResendSafe(claimed({ unansweredS }), { ...GRACE, mintsFromCredential: true })).toBe(true);
  });

  it('has what was not answered asked again at once, while it lasts', () => {
    expect(settleBeforeAsking(claimed(within), GRACE)).toBeNull();
    expect(settleBeforeAsking(claimed({ ...within, crashed: true, crashes: 99 }), GRACE)).toBeNull();
    expect(settleFailure(claimed(within), unavailable(true), GRACE, HALF)).toMatchObject({
      unknownOutcome: null,
      unanswered: true,
      renewInS: 0.5,
    });
  });

  it.each([
    ['no_answer', {}],
    ['crash', { crashed: true, crashes: 1 }],
  ] as const)('that is over leaves a probe, as late as the token in hand allows: %s', (unknown, changes) => {
    const connection = claimed({ ...over, ...changes });
    expect(settleBeforeAsking(connection, GRACE)).toMatchObject({
      status: 'active',
      lastError: 'lost_in_flight',
      unknownOutcome: unknown,
      unanswered: true,
      renewInS: PUT_OFF_S,
    });
    expect(settleBeforeAsking({ ...connection, unknownOutcome: unknown }, GRACE)).toBeNull();
    expect(settleBeforeAsking({ ...connection, expiresAt: inSeconds(45) }, GRACE)).toBeNull();
  });

  it.each([DEAD, DOUBT])('that is over makes a refusal the last: %j', (failure) => {
    const probe = claimed(over);
    expect(settleFailure(probe, failure, GRACE, HALF)).toMatchObject({
      status: 'reauthorization_required',
      statusReason: 'lost_in_flight',
      unanswered: false,
    });
    expect(isCountedRefusal(probe, failure, GRACE)).toBe(false);
  });

  it('that lasts makes a refusal an ordinary one, and a bare one ends no doubt', () => {
    expect(settleFailure(claimed(within), DEAD, GRACE, HALF).statusReason).toBe('invalid_grant');
    expect(settleFailure(claimed(within), DOUBT, GRACE, HALF)).toMatchObject({
      status: 'suspect',
      unanswered: true,
    });
    expect(isCountedRefusal(claimed(within), DEAD, GRACE)).toBe(true);
  });

  it.each([
    [null, OURS, false],
    [null, DOUBT, false],
    [null, unavailable(false), false],
    [null, unavailable(true), true],
    [1, OURS, true],
    [1, unavailable(false), true],
  ])(
    'counts from the first sending that is not answered: after %s s, %j → %s',
    (unansweredS, failure, out) => {
      expect(settleFailure(claimed({ unansweredS }), failure, GRACE, HALF).unanswered).toBe(out);
    },
  );

  it('ends while a holder waits to send: only a resend is bound to it', () => {
    expect(resendableForS(claimed(within), GRACE)).toBe(1);
    expect(resendableForS(claimed(), GRACE)).toBe(Infinity);
    expect(resendableForS(claimed({ unansweredS: 5 }), { ...GRACE, rotation: 'unknown' })).toBe(0);
  });
});
