import { describe, expect, it } from '@jest/globals';
import type { Sealed } from '../shared/secret.js';
import type { Connection } from './connection.js';
import { judge, judgeAfterRenewal, missingScopes, retryAfterSeconds, type Wish } from './serving.js';

const NOW = new Date('2026-01-01T00:00:00Z');
const SERVE = { kind: 'serve', stale: false };
const STALE = { kind: 'serve', stale: true };
const RENEW = { kind: 'renew' };

function inSeconds(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1_000);
}

function row(changes: Partial<Connection> = {}): Connection {
  return {
    id: 'id',
    provider: 'p',
    companyId: '42',
    locationId: null,
    now: NOW,
    status: 'active',
    statusReason: null,
    scopes: ['a'],
    grantVersion: 1,
    sealedGrant: Buffer.from('grant') as Sealed,
    tokenVersion: 1,
    sealedToken: Buffer.from('token') as Sealed,
    tokenType: 'Bearer',
    tokenFingerprint: 'f',
    issuedAt: NOW,
    expiresAt: inSeconds(600),
    renewedLifetimeS: null,
    renewAt: inSeconds(400),
    lastRenewedAt: null,
    lastError: null,
    consecutiveFailures: 0,
    refusals: 0,
    leaseOwner: null,
    leaseUntil: null,
    leaseEpoch: '1',
    attempts: 1,
    unknownOutcome: null,
    crashes: 0,
    rotateBy: null,
    refreshTokenKept: null,
    reportedVersion: null,
    reportedAt: null,
    createdAt: NOW,
    updatedAt: NOW,
    ...changes,
  };
}

function wish(changes: Partial<Wish> = {}): Wish {
  return { minTtl: 30, scopes: [], ...changes };
}

const refuse = (code: string, more: object = {}): unknown => ({ kind: 'refuse', code, ...more });
const NO_TOKEN = { tokenVersion: 0, sealedToken: null, expiresAt: null, scopes: [] };
const EXPIRED = { expiresAt: inSeconds(-1) };
const FAILED = { consecutiveFailures: 1, lastError: 'timed_out' };

describe('a read', () => {
  it.each([
    ['long enough', row(), wish(), SERVE],
    ['exactly long enough', row({ expiresAt: inSeconds(30) }), wish(), SERVE],
    ['a little too short', row({ expiresAt: inSeconds(29.999) }), wish(), RENEW],
    ['alive, when any life will do', row({ expiresAt: inSeconds(0.001) }), wish({ minTtl: 0 }), SERVE],
    ['just expired, when any life will do', row({ expiresAt: NOW }), wish({ minTtl: 0 }), RENEW],
    ['without an end', row({ expiresAt: null }), wish({ minTtl: 3_600 }), SERVE],
    ['not there yet', row(NO_TOKEN), wish({ minTtl: 0 }), RENEW],
    ['good, while renewals fail', row(FAILED), wish(), STALE],
    ['good, of a suspect', row({ ...FAILED, status: 'suspect' }), wish(), STALE],
    ['good, of a dead grant', row({ status: 'reauthorization_required' }), wish(), STALE],
    ['good, of a paused connection', row({ status: 'paused' }), wish(), SERVE],
    ['good, and reported by somebody', row({ reportedVersion: 1 }), wish(), SERVE],
  ])('of a token that is %s', (_what, connection, wanted, verdict) => {
    expect(judge(connection, wanted)).toEqual(verdict);
  });

  it('of a short token waits for no backoff of another attempt, but does not break one either', () => {
    const backingOff = { ...FAILED, ...EXPIRED };
    expect(judge(row({ ...backingOff, renewAt: inSeconds(5) }), wish())).toEqual(
      refuse('provider_unavailable'),
    );
    expect(judge(row({ ...backingOff, renewAt: NOW }), wish())).toEqual(RENEW);
    expect(judge(row({ ...backingOff, renewAt: null }), wish())).toEqual(RENEW);
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
      row({ ...everything, status: 'revoked', sealedToken: null }),
      greedy,
      'connection_revoked',
    ],
    [
      '409 of a dead grant before missing scopes',
      row({ ...everything, status: 'reauthorization_required' }),
      greedy,
      'reauthorization_required',
    ],
    [
      'missing scopes before too much life',
      row({ ...everything, status: 'paused' }),
      greedy,
      'scope_missing',
    ],
    [
      'too much life before a pause',
      row({ ...everything, status: 'paused' }),
      wish({ minTtl: 3_600 }),
      'ttl_unsatisfiable',
    ],
    ['a pause before a failure', row({ ...everything, status: 'paused' }), wish(), 'connection_paused'],
    ['a failure at the end', row(everything), wish(), 'provider_unavailable'],
  ])('%s', (_rule, connection, wanted, code) => {
    expect(judge(connection, wanted)).toMatchObject({ kind: 'refuse', code });
  });
});

describe('a dead grant', () => {
  const dead = { status: 'reauthorization_required' } as const;

  it('serves no token that is too short, or that was itself reported', () => {
    expect(judge(row({ ...dead, ...EXPIRED }), wish())).toEqual(refuse('reauthorization_required'));
    expect(judge(row({ ...dead, reportedVersion: 1 }), wish())).toEqual(refuse('reauthorization_required'));
    expect(judge(row({ ...dead, tokenVersion: 2, reportedVersion: 1 }), wish())).toEqual(STALE);
    expect(judge(row({ ...dead, ...NO_TOKEN }), wish())).toEqual(refuse('reauthorization_required'));
  });
});

describe('scopes', () => {
  it('that the token lacks are named, all of them', () => {
    expect(judge(row(), wish({ scopes: ['b', 'a', 'c'] }))).toEqual(
      refuse('scope_missing', { missingScopes: ['b', 'c'] }),
    );
  });

  it('of a token that is not there yet are not known', () => {
    expect(judge(row(NO_TOKEN), wish({ scopes: ['b'] }))).toEqual(RENEW);
    expect(missingScopes(row(NO_TOKEN), ['b'])).toEqual([]);
    expect(missingScopes(row(), ['a', 'b'])).toEqual(['b']);
  });
});

describe('min_ttl', () => {
  it('is honoured up to 90 % of what renewals bring', () => {
    const connection = row({ renewedLifetimeS: 1_000, expiresAt: inSeconds(500) });
    expect(judge(connection, wish({ minTtl: 900 }))).toEqual(RENEW);
    expect(judge(connection, wish({ minTtl: 901 }))).toEqual(refuse('ttl_unsatisfiable', { maxTtl: 900 }));
    expect(judge(row({ renewedLifetimeS: null }), wish({ minTtl: 3_600 }))).toEqual(RENEW);
  });

  it('is rounded down where the limit is no whole second', () => {
    expect(judge(row({ renewedLifetimeS: 33.3 }), wish({ minTtl: 30 }))).toEqual(
      refuse('ttl_unsatisfiable', { maxTtl: 29 }),
    );
  });
});

describe('after a renewal', () => {
  it('nobody renews again: a caller is answered with what came', () => {
    expect(judgeAfterRenewal(row(), wish())).toEqual(SERVE);
    expect(judgeAfterRenewal(row({ expiresAt: inSeconds(20.9) }), wish())).toEqual(
      refuse('ttl_unsatisfiable', { maxTtl: 20 }),
    );
    expect(judgeAfterRenewal(row(EXPIRED), wish({ minTtl: 0 }))).toEqual(
      refuse('ttl_unsatisfiable', { maxTtl: 0 }),
    );
    expect(judgeAfterRenewal(row({ ...EXPIRED, ...FAILED, renewAt: NOW }), wish())).toEqual(
      refuse('provider_unavailable'),
    );
    expect(judgeAfterRenewal(row(FAILED), wish())).toEqual(STALE);
    expect(judgeAfterRenewal(row({ status: 'revoked' }), wish())).toEqual(refuse('connection_revoked'));
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
    expect(judge(row(failed), wish())).toEqual(refuse(problem));
  });

  it('is not about our registration where the grant itself is suspected', () => {
    const failed = {
      ...EXPIRED,
      consecutiveFailures: 1,
      renewAt: inSeconds(5),
      lastError: 'refused_without_code',
    };
    expect(judge(row({ ...failed, status: 'suspect' }), wish())).toEqual(refuse('provider_unavailable'));
  });

  it('comes with the time of the next try, in whole seconds', () => {
    expect(retryAfterSeconds(row({ renewAt: inSeconds(4.2) }))).toBe(5);
    expect(retryAfterSeconds(row({ renewAt: inSeconds(-4) }))).toBe(1);
    expect(retryAfterSeconds(row({ renewAt: null }))).toBe(1);
  });
});
