import { describe, expect, it } from '@jest/globals';
import { aConnection, inSeconds, NOW } from '../../test/support/connections.js';
import type { Connection } from './connection.js';
import { judge, judgeAfterRenewal, missingScopes, retryAfterSeconds, type Wish } from './serving.js';

const SERVE = { kind: 'serve', stale: false };
const STALE = { kind: 'serve', stale: true };
const RENEW = { kind: 'renew' };

function wish(changes: Partial<Wish> = {}): Wish {
  return { minTtl: 30, scopes: [], ...changes };
}

const refuse = (code: string, more: object = {}): unknown => ({ kind: 'refuse', code, ...more });
const NO_TOKEN = { tokenVersion: 0, sealedToken: null, expiresAt: null, scopes: [] };
const EXPIRED = { expiresAt: inSeconds(-1) };
const FAILED = { consecutiveFailures: 1, lastError: 'timed_out' };

describe('a read', () => {
  it.each([
    ['long enough', aConnection(), wish(), SERVE],
    ['exactly long enough', aConnection({ expiresAt: inSeconds(30) }), wish(), SERVE],
    ['a little too short', aConnection({ expiresAt: inSeconds(29.999) }), wish(), RENEW],
    [
      'alive, when any life will do',
      aConnection({ expiresAt: inSeconds(0.001) }),
      wish({ minTtl: 0 }),
      SERVE,
    ],
    ['just expired, when any life will do', aConnection({ expiresAt: NOW }), wish({ minTtl: 0 }), RENEW],
    ['without an end', aConnection({ expiresAt: null }), wish({ minTtl: 3_600 }), SERVE],
    ['not there yet', aConnection(NO_TOKEN), wish({ minTtl: 0 }), RENEW],
    ['good, while renewals fail', aConnection(FAILED), wish(), STALE],
    ['good, of a suspect', aConnection({ ...FAILED, status: 'suspect' }), wish(), STALE],
    ['good, of a dead grant', aConnection({ status: 'reauthorization_required' }), wish(), STALE],
    ['good, of a paused connection', aConnection({ status: 'paused' }), wish(), SERVE],
    ['good, and reported by somebody', aConnection({ reportedVersion: 1 }), wish(), SERVE],
  ])('of a token that is %s', (_what, connection, wanted, verdict) => {
    expect(judge(connection, wanted)).toEqual(verdict);
  });

  it('of a short token waits for no backoff of another attempt, but does not break one either', () => {
    const backingOff = { ...FAILED, ...EXPIRED };
    expect(judge(aConnection({ ...backingOff, renewAt: inSeconds(5) }), wish())).toEqual(
      refuse('provider_unavailable'),
    );
    expect(judge(aConnection({ ...backingOff, renewAt: NOW }), wish())).toEqual(RENEW);
    expect(judge(aConnection({ ...backingOff, renewAt: null }), wish())).toEqual(RENEW);
  });
});

describe('refusals come in the order of the contract:', () => {
  const everything: Partial<Connection> = {
    ...EXPIRED,
    ...FAILED,
    renewAt: inSeconds(5),
    renewedLifetimeS: 100,
  };
  const greedy = wish({ minTtl: 3_600, scopes: ['a', 'b', 'c'] });

  it.each([
    [
      '410 before all',
      aConnection({ ...everything, status: 'revoked', sealedToken: null }),
      greedy,
      'connection_revoked',
    ],
    [
      '409 of a dead grant before missing scopes',
      aConnection({ ...everything, status: 'reauthorization_required' }),
      greedy,
      'reauthorization_required',
    ],
    [
      'missing scopes before too much life',
      aConnection({ ...everything, status: 'paused' }),
      greedy,
      'scope_missing',
    ],
    [
      'too much life before a pause',
      aConnection({ ...everything, status: 'paused' }),
      wish({ minTtl: 3_600 }),
      'ttl_unsatisfiable',
    ],
    [
      'a pause before a failure',
      aConnection({ ...everything, status: 'paused' }),
      wish(),
      'connection_paused',
    ],
    ['a failure at the end', aConnection(everything), wish(), 'provider_unavailable'],
  ])('%s', (_rule, connection, wanted, code) => {
    expect(judge(connection, wanted)).toMatchObject({ kind: 'refuse', code });
  });
});

describe('a dead grant', () => {
  const dead = { status: 'reauthorization_required' } as const;

  it('serves no token that is too short, or that was itself reported', () => {
    expect(judge(aConnection({ ...dead, ...EXPIRED }), wish())).toEqual(refuse('reauthorization_required'));
    expect(judge(aConnection({ ...dead, reportedVersion: 1 }), wish())).toEqual(
      refuse('reauthorization_required'),
    );
    expect(judge(aConnection({ ...dead, tokenVersion: 2, reportedVersion: 1 }), wish())).toEqual(STALE);
    expect(judge(aConnection({ ...dead, ...NO_TOKEN }), wish())).toEqual(refuse('reauthorization_required'));
  });
});

describe("Connect's scope for everything", () => {
  it('satisfies every wish once it is granted', () => {
    expect(judge(aConnection({ scopes: ['*'] }), wish({ scopes: ['contacts'] }))).toEqual(SERVE);
    expect(missingScopes(aConnection({ scopes: ['*'] }), ['a', 'b'])).toEqual([]);
  });

  it('is missing nowhere where it is configured, and grants nothing by that', () => {
    const named = aConnection({ scopes: ['contacts'] });
    expect(missingScopes(named, ['*'])).toEqual([]);
    expect(judge(named, wish({ scopes: ['deals'] }))).toEqual(
      refuse('scope_missing', { missingScopes: ['deals'] }),
    );
    expect(judge(named, wish({ scopes: ['*'] }))).toEqual(refuse('scope_missing', { missingScopes: ['*'] }));
  });
});

describe('scopes', () => {
  it('that the token lacks are named, all of them', () => {
    expect(judge(aConnection(), wish({ scopes: ['b', 'a', 'c'] }))).toEqual(
      refuse('scope_missing', { missingScopes: ['b', 'c'] }),
    );
  });

  it('of a token that is not there yet are not known', () => {
    expect(judge(aConnection(NO_TOKEN), wish({ scopes: ['b'] }))).toEqual(RENEW);
    expect(missingScopes(aConnection(NO_TOKEN), ['b'])).toEqual([]);
    expect(missingScopes(aConnection(), ['a', 'b'])).toEqual(['b']);
  });
});

describe('min_ttl', () => {
  it('is honoured up to 90 % of what renewals bring', () => {
    const connection = aConnection({ renewedLifetimeS: 1_000, expiresAt: inSeconds(500) });
    expect(judge(connection, wish({ minTtl: 900 }))).toEqual(RENEW);
    expect(judge(connection, wish({ minTtl: 901 }))).toEqual(refuse('ttl_unsatisfiable', { maxTtl: 900 }));
    expect(judge(aConnection({ renewedLifetimeS: null }), wish({ minTtl: 3_600 }))).toEqual(RENEW);
  });

  it('is rounded down where the limit is no whole second', () => {
    expect(judge(aConnection({ renewedLifetimeS: 33.3 }), wish({ minTtl: 30 }))).toEqual(
      refuse('ttl_unsatisfiable', { maxTtl: 29 }),
    );
  });
});

describe('after a renewal', () => {
  it('nobody renews again: a caller is answered with what came', () => {
    expect(judgeAfterRenewal(aConnection(), wish())).toEqual(SERVE);
    expect(judgeAfterRenewal(aConnection({ expiresAt: inSeconds(20.9) }), wish())).toEqual(
      refuse('ttl_unsatisfiable', { maxTtl: 20 }),
    );
    expect(judgeAfterRenewal(aConnection(EXPIRED), wish({ minTtl: 0 }))).toEqual(
      refuse('ttl_unsatisfiable', { maxTtl: 0 }),
    );
    expect(judgeAfterRenewal(aConnection({ ...EXPIRED, ...FAILED, renewAt: NOW }), wish())).toEqual(
      refuse('provider_unavailable'),
    );
    // Given back before anybody was asked.
    expect(judgeAfterRenewal(aConnection({ ...EXPIRED, renewAt: NOW }), wish())).toEqual(
      refuse('provider_unavailable'),
    );
    expect(judgeAfterRenewal(aConnection(FAILED), wish())).toEqual(STALE);
    expect(judgeAfterRenewal(aConnection({ status: 'revoked' }), wish())).toEqual(
      refuse('connection_revoked'),
    );
  });
});

describe('the last failure, told to a caller whose token is too short,', () => {
  it.each([
    ['client_refused', 'provider_misconfigured'],
    ['request_refused', 'provider_misconfigured'],
    ['endpoint_gone', 'provider_misconfigured'],
    ['redirected', 'provider_misconfigured'],
    ['private_address', 'provider_misconfigured'],
    ['refused_without_code', 'provider_misconfigured'],
    ['malformed_answer', 'provider_protocol_error'],
    ['answer_too_large', 'provider_protocol_error'],
    ['token_missing', 'provider_protocol_error'],
    ['rate_limited', 'provider_unavailable'],
    ['server_error', 'provider_unavailable'],
    ['not_reached', 'provider_unavailable'],
    ['timed_out', 'provider_unavailable'],
    ['connection_lost', 'provider_unavailable'],
    ['lost_in_flight', 'provider_unavailable'],
    [null, 'provider_unavailable'],
  ])('%s is %s', (lastError, problem) => {
    const failed = { ...EXPIRED, consecutiveFailures: 1, renewAt: inSeconds(5), lastError };
    expect(judge(aConnection(failed), wish())).toEqual(refuse(problem));
  });

  it('is not about our registration where the grant itself is suspected', () => {
    const failed = {
      ...EXPIRED,
      consecutiveFailures: 1,
      renewAt: inSeconds(5),
      lastError: 'refused_without_code',
    };
    expect(judge(aConnection({ ...failed, status: 'suspect' }), wish())).toEqual(
      refuse('provider_unavailable'),
    );
  });

  it('comes with the time of the next try, in whole seconds', () => {
    expect(retryAfterSeconds(aConnection({ renewAt: inSeconds(4.2) }))).toBe(5);
    expect(retryAfterSeconds(aConnection({ renewAt: inSeconds(-4) }))).toBe(1);
    expect(retryAfterSeconds(aConnection({ renewAt: null }))).toBe(1);
  });
});
