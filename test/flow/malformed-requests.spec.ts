import { beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'node:http';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import type { Json } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
const TOKENS = '/v1/tokens/konnect/companies';
const REPORT = `${TOKENS}/42/report`;
const PUT = '/v1/connections/konnect/companies/42';

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
  await world.keepKonnect(broker, '42');
});

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: string;
  readonly chunked?: boolean;
  readonly key?: string;
}

/** Status and code of the answer to a request whose path is sent as it stands: fetch would tidy it up. */
async function send({
  method = 'GET',
  path,
  type,
  body,
  chunked,
  key = ADMIN_KEY,
}: Sent): Promise<[number, unknown]> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(broker.api);
    const headers = {
      authorization: `Bearer ${key}`,
      ...(type === undefined ? {} : { 'content-type': type }),
      ...(body === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    };
    const sent = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const { code, request_id, ...rest } = JSON.parse(text) as Json;
        expect([path, text.includes('test-secret')]).toEqual([path, false]);
        if (code !== undefined) {
          expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
          expect(response.headers['cache-control']).toBe('no-store');
          expect([typeof request_id, typeof rest['detail']]).toEqual(['string', 'string']);
        }
        resolve([response.statusCode ?? 0, code]);
      });
    });
    sent.on('error', reject);
    if (chunked)
      for (let at = 0; at < (body ?? '').length; at += 8_192) sent.write(body?.slice(at, at + 8_192));
    sent.end(chunked ? undefined : body);
  });
}

const INVALID = [400, 'invalid_request'];

async function expectAll(requests: readonly Sent[], wanted: readonly unknown[]): Promise<void> {
  const answers = await Promise.all(requests.map(send));
  const told = ({ method, path, type, body }: Sent): unknown => [method, path, type, body?.slice(0, 100)];
  expect(answers.map((answer, n) => [told(requests[n] as Sent), ...answer])).toEqual(
    requests.map((it) => [told(it), ...wanted]),
  );
}

describe('an id in a path', () => {
  const bad = [
    ...['.', '..', '%2e', '%2e%2e', '%2E%2E', '.%2e', '%2f', '42%2f43', '..%2f42', '42%5c43', '%252e%252e'],
    ...['42%252f43', '%00', '42%00', '42%0a', '%20', '42%20', 'a+b', 'a:b', 'a~b', '%C3%BC', 'x'.repeat(65)],
    ...['x'.repeat(900), '42;x=1', '42,43', '*', '%2A', "'", '%22'],
  ];

  it('is 1 to 64 of A-Z a-z 0-9 . _ -, and neither "." nor ".."', async () => {
    await expectAll(
      bad.map((id) => ({ path: `${TOKENS}/${id}` })),
      INVALID,
    );
    await expectAll(
      bad.map((id) => ({ path: `${TOKENS}/42/locations/${id}` })),
      INVALID,
    );
    await expectAll(
      bad.map((id) => ({ path: `/v1/tokens/${id}/companies/42` })),
      INVALID,
    );
    const json = { type: 'application/json', body: '{"username":"u","password":"p"}' };
    await expectAll(
      bad.map((id) => ({ method: 'PUT', path: `/v1/connections/konnect/companies/${id}`, ...json })),
      INVALID,
    );
  });

  it('may hold dots, and is decoded once', async () => {
    await world.keepKonnect(broker, 'a..b');
    await world.keepKonnect(broker, '...');
    for (const id of ['a..b', 'a%2e%2eb', '%61..b', '...']) {
      expect([id, await send({ path: `${TOKENS}/${id}` })]).toEqual([id, [200, undefined]]);
    }
    expect(await send({ path: `${TOKENS}/${'x'.repeat(64)}` })).toEqual([404, 'connection_not_found']);
  });

  it('whose percent encoding is broken is a malformed request', async () => {
    const broken = ['%', '%2', '%zz', '%C3', '%FF', '42%'];
    await expectAll(
      broken.map((id) => ({ path: `${TOKENS}/${id}` })),
      INVALID,
    );
  });

  it('that is longer than any address may be is a 414', async () => {
    expect(await send({ path: `${TOKENS}/${'x'.repeat(1_200)}` })).toEqual([414, 'invalid_request']);
  });

  it('never leads past its segment: what is tidied up elsewhere finds nothing here', async () => {
    const paths = ['/v1/../v1/connections', '//v1/connections', '/v1//connections', '/V1/connections'];
    for (const path of [...paths, `${TOKENS}/../42`, `${TOKENS}/42/..`, `${TOKENS}//`, '/v1/connections/.']) {
      const [status, code] = await send({ path });
      expect([path, [400, 404].includes(status), typeof code]).toEqual([path, true, 'string']);
    }
  });
});

describe('a parameter', () => {
  it('that is unknown, or given twice, is malformed: on the routes that read some', async () => {
    const queries = ['what=1', 'minttl=5', 'min_ttl=1&min_ttl=1', 'min_ttl[]=1', 'MIN_TTL=5', '=1'];
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'constructor.prototype'];
    const all = [...queries, ...names.map((name) => `${name}=1`)];
    await expectAll(
      all.map((query) => ({ path: `${TOKENS}/42?${query}` })),
      INVALID,
    );
    const unread = all.filter((query) => !query.startsWith('min_ttl='));
    await expectAll(
      unread.map((query) => ({ path: `/v1/connections?${query}` })),
      INVALID,
    );
  });

  it('that is unknown is malformed on the routes that read none', async () => {
    const { body } = await world.api(broker, 'GET', '/v1/connections?company_id=42');
    const id = String((body['items'] as Json[])[0]?.['id']);
    const json = { type: 'application/json' };
    const report = { ...json, body: '{"version":99,"status":401}' };
    const credential = { ...json, body: '{"username":"42","password":"test-secret-konnect-42"}' };
    await expectAll(
      [
        { path: `/v1/connections/${id}?what=1` },
        { method: 'POST', path: `/v1/connections/${id}/renew?what=1` },
        { method: 'POST', path: `${REPORT}?what=1`, ...report },
        { method: 'PUT', path: `${PUT}?what=1`, ...credential },
        { method: 'DELETE', path: `/v1/connections/${id}?what=1` },
      ],
      INVALID,
    );
  });
});

describe('a body', () => {
  const post = (body: string, type = 'application/json'): Sent => ({
    method: 'POST',
    path: REPORT,
    type,
    body,
  });

  it('over 64 KB is too large, however it comes', async () => {
    const large = `{"version":1,"status":401,"filler":"${'x'.repeat(2 * 1024 * 1024)}"}`;
    expect(await send(post(large))).toEqual([413, 'payload_too_large']);
    expect(await send({ ...post(large.slice(0, 70_000)), chunked: true })).toEqual([
      413,
      'payload_too_large',
    ]);
    const just = `{"version":99,"status":401}${' '.repeat(65_000)}`;
    expect(await send(post(just))).toEqual([200, undefined]);
  });

  it('is JSON, and an object', async () => {
    const bodies = [
      '',
      '{',
      '}',
      '{"version":1,}',
      "{'version':1}",
      '{"version":1}{}',
      'version=1',
      '\ufeff',
      'NaN',
    ];
    await expectAll(
      [...bodies, '[]', '[{"version":99,"status":401}]', 'null', 'true', '7', '"x"'].map((it) => post(it)),
      INVALID,
    );
    await expectAll(
      [
        { method: 'POST', path: REPORT },
        { method: 'PUT', path: PUT },
      ],
      INVALID,
    );
  });

  it('cannot reach a prototype', async () => {
    const names = ['__proto__', '\\u005f_proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const values = ['{}', '{"prototype":{"admin":true}}', 'null', '1'];
    const bodies = names.flatMap((name) => values.map((it) => `{"version":99,"status":401,"${name}":${it}}`));
    await expectAll(
      bodies.map((body) => post(body)),
      INVALID,
    );
    await expectAll(
      bodies.map((body) => ({ ...post(body), method: 'PUT', path: PUT })),
      INVALID,
    );
    expect(({} as Json)['admin']).toBeUndefined();
  });

  it('is nothing but JSON', async () => {
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/json',
    ];
    await expectAll(
      [...types, 'application/xml', 'x'].map((type) => post('{"version":1,"status":401}', type)),
      [415, 'invalid_request'],
    );
    expect(await send(post('{"version":99,"status":401}', 'application/json; charset=utf-8'))).toEqual([
      200,
      undefined,
    ]);
  });
});

describe('a caller who may not ask', () => {
  it('learns nothing of what is wrong with its request', async () => {
    const { key } = await world.client(broker, 'token:read konnect/companies/7');
    const json = 'application/json';
    await expectAll(
      [
        { method: 'POST', path: REPORT, key, type: json, body: '{' },
        { method: 'POST', path: REPORT, key, type: 'text/plain', body: 'x' },
        { method: 'POST', path: REPORT, key, type: json, body: `"${'x'.repeat(70_000)}"` },
        { method: 'POST', path: REPORT, key, type: json, body: '{"version":"x"}' },
        { method: 'PUT', path: PUT, key, type: json, body: '{"unknown":1}' },
        { method: 'GET', path: `${TOKENS}/42?min_ttl=x`, key },
        { method: 'POST', path: '/v1/clients', key, type: json, body: '{' },
      ],
      [403, 'forbidden'],
    );
  });

  it('is told of the path before the body, since the path says whose it is', async () => {
    const request = { method: 'POST', path: `${TOKENS}/a+b/report`, type: 'application/json', body: '{' };
    const { body } = await world.api(broker, 'POST', `${TOKENS}/a+b/report`, { unknown: 1 });
    expect(body).toMatchObject({ errors: [{ field: 'company_id' }] });
    expect(await send(request)).toEqual(INVALID);
  });
});
