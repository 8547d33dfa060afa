import { beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'node:http';
import { connect } from 'node:net';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { ask, type Answer, type Json } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
const TOKENS = '/v1/tokens/konnect/companies';
const NO_ID = '00000000-0000-4000-8000-000000000000';
const KEY = { authorization: `Bearer ${ADMIN_KEY}` };

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
  await world.keepKonnect(broker, '42');
});

type Headers = Record<string, string | string[]>;

/** A request whose path is sent as it stands: fetch would tidy it up. */
async function raw(method: string, path: string, headers: Headers = KEY, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(broker.api);
    const sent = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const found = new Headers(response.headers as Record<string, string>);
        const isJson = found.get('content-type')?.includes('json') ?? false;
        const parsed = isJson ? (JSON.parse(text) as Json) : {};
        resolve({ status: response.statusCode ?? 0, headers: found, text, body: parsed });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const sendJson = (path: string, body: string, headers: Headers = {}): Promise<Answer> =>
  raw('POST', path, { ...KEY, 'content-type': 'application/json', ...headers }, body);
const REPORT = `${TOKENS}/42/report`;

/** What every error is, whatever else it tells; gives status and code. */
function problemIn({ status, headers, body, text }: Answer): [number, unknown] {
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/);
  expect(headers.get('cache-control')).toBe('no-store');
  expect(body).toMatchObject({
    type: `urn:token-broker:problem:${String(body['code'])}`,
    title: expect.stringMatching(/\w/),
    status,
    code: expect.stringMatching(/^[a-z_]+$/),
    detail: expect.stringMatching(/\w/),
    request_id: expect.stringMatching(/^[\w.-]{1,64}$/),
  });
  expect(text).not.toContain('test-secret');
  return [status, body['code']];
}

describe('every error', () => {
  it('is a problem with its six members, whatever went wrong', async () => {
    const seen: [Promise<Answer>, number, string][] = [
      [raw('GET', '/v1/connections', {}), 401, 'unauthenticated'],
      [raw('GET', '/nothing/here'), 404, 'not_found'],
      [raw('GET', '/v1/nothing/here'), 404, 'not_found'],
      [raw('PATCH', `${TOKENS}/42`), 404, 'not_found'],
      [raw('GET', '/v1/tokens/nobody/companies/42'), 404, 'provider_not_found'],
      [raw('GET', `${TOKENS}/43`), 404, 'connection_not_found'],
      [raw('GET', `/v1/connections/${NO_ID}`), 404, 'connection_not_found'],
      [raw('GET', `${TOKENS}/42?min_ttl=3600`), 409, 'ttl_unsatisfiable'],
      [raw('GET', `${TOKENS}/42?scope=any`), 409, 'scope_missing'],
      [sendJson(REPORT, '{"version":1,"status":403}'), 422, 'not_renewable'],
      [sendJson(REPORT, '{'), 400, 'invalid_request'],
    ];
    for (const [answer, status, code] of seen) expect(problemIn(await answer)).toEqual([status, code]);
  });

  it('names the field that is malformed, and what it must be', async () => {
    const { body } = await raw('GET', `${TOKENS}/42?min_ttl=soon`);
    expect(body['errors']).toEqual([{ field: 'min_ttl', message: expect.stringContaining('whole seconds') }]);
  });

  it('never quotes what came, neither the body nor a secret', async () => {
    const secret = 'test-secret-canary';
    const put = '/v1/connections/konnect/companies/42';
    const json = { ...KEY, 'content-type': 'application/json' };
    const answers = [
      raw('GET', `${TOKENS}/${secret}%20`),
      raw('GET', `${TOKENS}/${secret}%zz`),
      raw('GET', `${TOKENS}/42?${secret}=1`),
      raw('GET', `${TOKENS}/42?min_ttl=${secret}`),
      raw('GET', `/${secret}`),
      raw('GET', `/v1/connections?cursor=${secret}`),
      raw('GET', `/v1/connections?status=${secret}&${secret}=1`),
      raw('GET', '/v1/connections', { authorization: `Bearer ${secret}` }),
      sendJson(REPORT, secret),
      sendJson(REPORT, `{"version":"${secret}","status":"${secret}"}`),
      sendJson(REPORT, `{"version":1,"status":401,"${secret}":1}`),
      sendJson(REPORT, `{"version":1,"status":401,"${secret}"`),
      raw('PUT', put, json, `{"username":"${secret}","password":["${secret}"]}`),
      raw('PUT', put, json, `{"username":"u","password":"p","a":{"${secret}":"${secret}"}}`),
      raw('PUT', put, { ...KEY, 'content-type': secret }, secret),
      raw('PUT', put, json, `{"username":"u","password":"wrong-${secret}"}`),
    ];
    for (const answer of await Promise.all(answers)) {
      expect(problemIn(answer)[0]).toBeGreaterThanOrEqual(400);
      expect(answer.text).not.toContain('canary');
    }
  });

  it('tells Retry-After in whole seconds, in the header as in the body', async () => {
    await world.keepKonnect(broker, '44');
    await world.simulator.fault({ provider: 'konnect', username: '44', status: 503, retry_after: 3 });
    await world.advance(3_600);
    const { headers, body } = await raw('GET', `${TOKENS}/44`);
    expect(body['code']).toBe('provider_unavailable');
    expect(headers.get('retry-after')).toBe('3');
    expect(body['retry_after']).toBe(3);
  });
});

describe('the order of checks', () => {
  it('has the key first: without one nothing else is told', async () => {
    const json = { 'content-type': 'application/json' };
    const answers = [
      raw('GET', `${TOKENS}/..`, {}),
      raw('GET', `${TOKENS}/42?what=1`, {}),
      raw('GET', '/v1/tokens/nobody/companies/42', {}),
      raw('GET', '/v1/nothing/here', {}),
      raw('POST', REPORT, json, '{'),
      raw('POST', REPORT, { 'content-type': 'text/plain' }, 'x'),
      raw('POST', REPORT, { ...json, 'content-length': String(2 * 1024 * 1024) }),
    ];
    for (const answer of await Promise.all(answers)) {
      expect(problemIn(answer)).toEqual([401, 'unauthenticated']);
    }
  });

  it('has a malformed id before an unknown provider, and malformed input before what is not there', async () => {
    expect(problemIn(await raw('GET', '/v1/tokens/nobody/companies/..'))).toEqual([400, 'invalid_request']);
    expect(problemIn(await raw('GET', `${TOKENS}/43?min_ttl=x`))).toEqual([400, 'invalid_request']);
    expect(problemIn(await raw('GET', '/v1/tokens/nobody/companies/42?min_ttl=x'))).toEqual([
      400,
      'invalid_request',
    ]);
    expect(problemIn(await sendJson(`${TOKENS}/43/report`, '{"version":0}'))).toEqual([
      400,
      'invalid_request',
    ]);
  });
});

describe('a key', () => {
  it('that is missing, malformed or unknown is refused with one text for all', async () => {
    const bad = ['', 'Bearer', 'Bearer ', `Basic ${ADMIN_KEY}`, ADMIN_KEY, `Bearer ${ADMIN_KEY}x`];
    const headers = [
      {},
      ...bad.concat(`Bearer ${ADMIN_KEY.slice(0, -1)}`).map((it) => ({ authorization: it })),
    ];
    const answers = await Promise.all(headers.map((it) => raw('GET', '/v1/connections', it)));
    for (const answer of answers) {
      expect(problemIn(answer)).toEqual([401, 'unauthenticated']);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
      expect({ ...answer.body, request_id: '' }).toEqual({ ...answers[0]?.body, request_id: '' });
    }
  });

  it('is read whatever the case of its scheme', async () => {
    for (const scheme of ['bearer', 'BEARER']) {
      const { status } = await raw('GET', '/v1/connections', { authorization: `${scheme} ${ADMIN_KEY}` });
      expect(status).toBe(200);
    }
  });
});

describe('a request id', () => {
  it('is the caller’s where it is well-formed, else one of our own', async () => {
    for (const id of ['a', 'A-b_c.9', 'x'.repeat(64)]) {
      const answer = await raw('GET', '/nothing', { 'x-request-id': id });
      expect([answer.body['request_id'], answer.headers.get('x-request-id')]).toEqual([id, id]);
      const fine = await raw('GET', '/v1/connections', { ...KEY, 'x-request-id': id });
      expect(fine.headers.get('x-request-id')).toBe(id);
    }
    for (const id of ['', 'x'.repeat(65), 'a b', 'a/b', '<b>', 'ü', ['a', 'b']]) {
      const { body, headers } = await raw('GET', '/nothing', { 'x-request-id': id });
      expect(body['request_id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(headers.get('x-request-id')).toBe(body['request_id']);
    }
  });
});

it('every answer under /v1 is no-store, and no store keeps a good one either', async () => {
  for (const path of ['/v1/connections', `${TOKENS}/42`]) {
    const answer = await ask('GET', `${broker.api}${path}`, KEY);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
  }
});

describe('what is no request that could be routed', () => {
  async function socketAnswer(text: string): Promise<Answer> {
    const { hostname, port } = new URL(broker.api);
    const socket = connect({ host: hostname, port: Number(port) });
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('error', () => undefined);
    socket.write(text);
    await new Promise((resolve) => socket.on('close', resolve));
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    const [first = '', ...lines] = head.split('\r\n');
    const headers = new Headers(lines.map((line) => line.split(': ', 2) as [string, string]));
    return {
      status: Number(first.split(' ')[1]),
      headers,
      text: body,
      body: body.startsWith('{') ? (JSON.parse(body) as Json) : {},
    };
  }

  it('is a problem, too: garbage, a bad header, headers without an end', async () => {
    const garbage = [
      'GARBAGE test-secret\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\r\n\r\n',
    ];
    for (const text of [...garbage, 'GET / HTTP/1.1\r\nHost: a\r\nX y: test-secret\r\n\r\n']) {
      expect(problemIn(await socketAnswer(text))).toEqual([400, 'invalid_request']);
    }
    const filler = 'x'.repeat(20_000);
    expect(problemIn(await socketAnswer(`GET / HTTP/1.1\r\nHost: a\r\nX-Filler: ${filler}\r\n\r\n`))).toEqual(
      [431, 'invalid_request'],
    );
  });

  it('is a problem also where the HTTP server would refuse with an empty page: no host, or odd expectations', async () => {
    for (const lines of ['', 'Host: a\r\nExpect: test-secret\r\n']) {
      const [status] = problemIn(await socketAnswer(`GET / HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`));
      expect([400, 417]).toContain(status);
    }
  });
});
