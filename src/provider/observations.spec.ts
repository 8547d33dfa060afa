import { beforeEach, describe, expect, it } from '@jest/globals';
import { Clock } from '../shared/clock.js';
import { Secret } from '../shared/secret.js';
import { ProviderObservations } from './observations.js';
import type { FailureCode, IssuedToken, Outcome } from './token-provider.js';

class StillClock extends Clock {
  at = 1_000;

  override monotonic(): number {
    return this.at;
  }
}

const SENT = new Date('2026-01-01T00:00:00.000Z');

function issued(changes: Partial<IssuedToken> = {}): Outcome {
  const token: IssuedToken = {
    accessToken: new Secret('test-secret-token'),
    tokenType: 'Bearer',
    lifetimeSeconds: 3_600,
    lifetimeAssumed: false,
    scopes: null,
    grant: null,
    refreshTokenKept: true,
    sentAt: 0,
    dialect: 'd',
    ...changes,
  };
  return { kind: 'issued', token };
}

function unavailable(code: FailureCode): Outcome {
  return { kind: 'unavailable', code, mayHaveActed: true, retryAfterSeconds: null };
}

describe('what is observed of a provider', () => {
  let clock: StillClock;
  let seen: ProviderObservations;

  beforeEach(() => {
    clock = new StillClock();
    seen = new ProviderObservations(clock);
  });

  it('is one entry a provider, however much happens, and is told once', () => {
    for (let times = 0; times < 1_000; times += 1) {
      clock.at += 1;
      seen.renewalSettled('p', issued());
      seen.answered('p', 'Thu, 01 Jan 2026 00:00:07 GMT', SENT, 0);
    }
    seen.renewalSettled('q', unavailable('timed_out'));
    expect(seen.take()).toEqual([
      { provider: 'p', rotation: 'none', lifetimeS: 3_600, workedAt: 2_000, clockSkewS: 8 },
      { provider: 'q', error: { code: 'timed_out', at: 2_000 } },
    ]);
    expect(seen.take()).toEqual([]);
  });

  it.each([
    [{ refreshTokenKept: false }, { rotation: 'rotating', lifetimeS: 3_600 }],
    [{ refreshTokenKept: null }, { lifetimeS: 3_600 }],
    [{ refreshTokenKept: null, lifetimeAssumed: true }, {}],
    [{ refreshTokenKept: null, lifetimeSeconds: null }, { lifetimeS: null }],
    [{ refreshTokenKept: null, lifetimeSeconds: 3_599.6 }, { lifetimeS: 3_600 }],
  ])('of a token with %j is %j', (token, told) => {
    seen.renewalSettled('p', issued(token));
    expect(seen.take()).toEqual([{ provider: 'p', workedAt: 1_000, ...told }]);
  });

  it.each([
    [unavailable('rate_limited'), { error: { code: 'rate_limited', at: 1_000 } }],
    [{ kind: 'misconfigured', code: 'client_refused' }, { error: { code: 'client_refused', at: 1_000 } }],
    [{ kind: 'grant_refused', code: 'invalid_grant' }, { workedAt: 1_000 }],
    [{ kind: 'grant_doubtful', code: 'refused_without_code' }, { workedAt: 1_000 }],
  ] as [Outcome, object][])('of the failure %j is %j', (outcome, told) => {
    seen.renewalSettled('p', outcome);
    expect(seen.take()).toEqual([{ provider: 'p', ...told }]);
  });

  it.each([
    unavailable('lease_ran_out'),
    unavailable('grant_unreadable'),
    unavailable('internal_error'),
    { kind: 'grant_refused', code: 'no_refresh_token' } as const,
  ])('is nothing where nobody asked it: %j', (outcome) => {
    seen.renewalSettled('p', outcome);
    expect(seen.take()).toEqual([]);
  });

  it.each([
    // The header is cut to the second.
    ['Thu, 01 Jan 2026 00:00:00 GMT', 0, 1],
    ['Thu, 01 Jan 2026 00:00:00 GMT', 990, 0],
    ['Wed, 31 Dec 2025 23:59:59 GMT', 0, 0],
    ['Thu, 01 Jan 2026 02:00:00 GMT', 200, 7_200],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 200, -3_600],
    // Ten seconds there and back: the answer was made after five.
    ['Thu, 01 Jan 2026 00:00:05 GMT', 10_000, 1],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10_000, 6],
  ])('of the date %s after %i ms is a skew of %i s', (date, roundTripMs, skewS) => {
    expect(seen.answered('p', date, SENT, roundTripMs)).toBe(skewS);
    expect(seen.take()).toEqual([{ provider: 'p', clockSkewS: skewS }]);
  });

  it.each([undefined, '', '0', '2026', 'yesterday', 'Thu, 99 Jan 2026 00:00:00 GMT', '2026-01-01T00:00:00Z'])(
    'is no skew where the date is %j',
    (date) => {
      expect(seen.answered('p', date, SENT, 0)).toBeUndefined();
      expect(seen.take()).toEqual([]);
    },
  );

  it('that could not be written comes again, under what was seen meanwhile', () => {
    seen.renewalSettled('p', unavailable('timed_out'));
    seen.answered('p', 'Thu, 01 Jan 2026 00:01:00 GMT', SENT, 1_000);
    const [unwritten] = seen.take();
    if (!unwritten) throw new Error('there is no news');
    clock.at = 5_000;
    seen.renewalSettled('p', unavailable('server_error'));
    seen.giveBack(unwritten);
    expect(seen.take()).toEqual([
      { provider: 'p', clockSkewS: 60, error: { code: 'server_error', at: 5_000 } },
    ]);
  });
});
