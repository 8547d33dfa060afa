import { describe, expect, it } from '@jest/globals';
import type { UpstreamResult } from './upstream.js';
import { judgeFailure, readRetryAfter } from './verdict.js';

type Answered = Extract<UpstreamResult, { kind: 'answered' }>;

const NOW = new Date('2026-01-01T00:00:00Z');
const DEAD = { kind: 'grant_refused', code: 'invalid_grant' };
const CLIENT = { kind: 'misconfigured', code: 'client_refused' };
const REQUEST = { kind: 'misconfigured', code: 'request_refused' };
const GONE = { kind: 'misconfigured', code: 'endpoint_gone' };
const REDIRECTED = { kind: 'misconfigured', code: 'redirected' };

function answer(status: number, json: unknown, retryAfter?: string): Answered {
  return {
    kind: 'answered',
    status,
    json,
    date: undefined,
    retryAfter,
    sentAt: 0,
    sentAtDate: NOW,
  };
}

function judge(result: UpstreamResult, hasRenewed = true, deadGrantCodes: string[] = []): unknown {
  return judgeFailure(result, { deadGrantCodes, clientErrorCodes: ['2036'], hasRenewed });
}

function unavailable(code: string, mayHaveActed: boolean, retryAfterSeconds: number | null = null): unknown {
  return { kind: 'unavailable', code, mayHaveActed, retryAfterSeconds };
}

describe('a code in the answer', () => {
  const statuses = [200, 302, 400, 401, 403, 404, 405, 410, 415, 422, 429, 500, 503];

  it.each(statuses)('beats the status %i: invalid_grant is a dead grant', (status) => {
    expect(judge(answer(status, { error: 'invalid_grant' }))).toEqual(DEAD);
    expect(judge(answer(status, { error: 'invalid_grant' }), false)).toEqual(DEAD);
  });

  it.each(statuses)('beats the status %i: a refused client is our registration', (status) => {
    for (const error of ['invalid_client', 'unauthorized_client']) {
      expect(judge(answer(status, { error }))).toEqual(CLIENT);
    }
    for (const error of ['unsupported_grant_type', 'invalid_request', 'invalid_scope']) {
      expect(judge(answer(status, { error }))).toEqual(REQUEST);
    }
  });

  it("counts as invalid_grant where it is one of the provider's dead_grant_codes", () => {
    expect(judge(answer(401, { code: 'REFRESH_GONE' }), false, ['REFRESH_GONE'])).toEqual(DEAD);
    expect(judge(answer(401, { error: 'REFRESH_GONE' }), false, ['REFRESH_GONE'])).toEqual(DEAD);
    expect(judge(answer(401, { code: 'REFRESH_GONE' }), true)).not.toEqual(DEAD);
  });

  it('may be a number', () => {
    expect(judge(answer(403, { code: 4711 }), true, ['4711'])).toEqual(DEAD);
  });

  it('is read from error before code, and an error that is no text is passed over', () => {
    expect(judge(answer(400, { error: 'invalid_client', code: 'invalid_grant' }))).toEqual(CLIENT);
    expect(judge(answer(400, { error: { nested: 'invalid_client' }, code: 'invalid_grant' }))).toEqual(DEAD);
  });

  it('is the one that is known, where a sentence stands beside it', () => {
    expect(judge(answer(401, { error: 'Invalid API Key', code: 2036 }))).toEqual(CLIENT);
    expect(judge(answer(400, { error: 'The session is over', code: 'gone' }), true, ['gone'])).toEqual(DEAD);
    expect(judge(answer(400, { code: 'E-1', errorCode: 'invalid_scope' }))).toMatchObject({
      code: 'request_refused',
    });
  });

  it.each([null, [], 'invalid_grant', 7, true, { error: null }, { error: ['invalid_grant'] }])(
    'is not found in %j',
    (json) => {
      expect(judge(answer(401, json))).toEqual({ kind: 'grant_doubtful', code: 'refused_without_code' });
    },
  );

  it('that nobody knows leaves the verdict to the status', () => {
    expect(judge(answer(403, { error: 'teapot' }))).toEqual({
      kind: 'grant_doubtful',
      code: 'refused_without_code',
    });
    expect(judge(answer(500, { error: 'teapot' }))).toEqual(unavailable('server_error', true));
  });
});

describe('a status without a code', () => {
  it.each([300, 301, 302, 303, 307, 308, 399])('%i: a redirect is our registration', (status) => {
    expect(judge(answer(status, undefined))).toEqual(REDIRECTED);
    expect(judge(answer(status, {}), false)).toEqual(REDIRECTED);
  });

  it.each([404, 405, 410])('%i: the endpoint is gone, with or without JSON', (status) => {
    expect(judge(answer(status, {}))).toEqual(GONE);
    expect(judge(answer(status, undefined))).toEqual(GONE);
  });

  it.each([400, 401, 403])('%i: doubts the grant only where this provider has renewed before', (status) => {
    expect(judge(answer(status, { message: 'no' }))).toEqual({
      kind: 'grant_doubtful',
      code: 'refused_without_code',
    });
    expect(judge(answer(status, { message: 'no' }), false)).toEqual({
      kind: 'misconfigured',
      code: 'refused_without_code',
    });
  });

  it.each([400, 401, 402, 403, 409, 415, 422])('%i that is not JSON made no sense', (status) => {
    expect(judge(answer(status, undefined))).toEqual(unavailable('malformed_answer', true));
  });

  it.each([402, 406, 409, 411, 415, 422])('%i in JSON refuses the request, not the grant', (status) => {
    expect(judge(answer(status, {}))).toEqual(REQUEST);
  });

  it.each([408, 425])('%i: later, and surely nothing was done', (status) => {
    expect(judge(answer(status, {}, '7'))).toEqual(unavailable('server_error', false, 7));
  });

  it('429: later, when the provider says, and surely nothing was done', () => {
    expect(judge(answer(429, {}, '7'))).toEqual(unavailable('rate_limited', false, 7));
    expect(judge(answer(429, undefined))).toEqual(unavailable('rate_limited', false));
  });

  it.each([500, 501, 502, 503, 504, 599])('%i: later, and it may have been done', (status) => {
    expect(judge(answer(status, {}))).toEqual(unavailable('server_error', true));
    expect(judge(answer(status, undefined, '90'))).toEqual(unavailable('server_error', true, 90));
  });

  it.each([200, 201, 204, 299])('%i without a token', (status) => {
    expect(judge(answer(status, { token_type: 'bearer' }))).toEqual(unavailable('token_missing', true));
    expect(judge(answer(status, null))).toEqual(unavailable('token_missing', true));
    expect(judge(answer(status, undefined))).toEqual(unavailable('malformed_answer', true));
  });
});

describe('no answer', () => {
  it.each(['not_reached', 'timed_out', 'connection_lost', 'malformed_answer', 'answer_too_large'] as const)(
    '%s',
    (code) => {
      for (const mayHaveActed of [true, false]) {
        expect(judge({ kind: 'failed', code, mayHaveActed })).toEqual(unavailable(code, mayHaveActed));
      }
    },
  );

  it('because the address is private is a mistake of the configuration', () => {
    const failed = { kind: 'failed', code: 'private_address', mayHaveActed: false } as const;
    expect(judge(failed)).toEqual({ kind: 'misconfigured', code: 'private_address' });
  });
});

describe('Retry-After', () => {
  it.each([
    [undefined, null],
    ['0', 0],
    ['30', 30],
    [' 30 ', 30],
    ['900', 900],
    ['901', 900],
    ['999999999', 900],
    ['Thu, 01 Jan 2026 00:02:00 GMT', 120],
    ['Thu, 01 Jan 2026 09:00:00 GMT', 900],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['soon', null],
    ['', null],
  ])('%j means %j', (value, seconds) => {
    expect(readRetryAfter(value, NOW)).toBe(seconds);
  });

  it.each(['-5', '1.5', '1e9', 'NaN', 'Infinity', '99999999999'])(
    'never becomes NaN, negative or long: %j',
    (value) => {
      const seconds = readRetryAfter(value, NOW) ?? 0;
      expect(seconds).toBeGreaterThanOrEqual(0);
      expect(seconds).toBeLessThanOrEqual(900);
    },
  );
});
