import { request as send } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { AuditFlush } from '../../src/audit/audit-flush.js';
import { Database } from '../../src/database/database.js';
import { Secret } from '../../src/shared/secret.js';
import { placeOf } from '../../src/token/connection.js';
import { KeptAnswer } from '../../src/token/kept-answer.js';
import { KeptAnswers } from '../../src/token/kept-answers.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import type { TokenInHandRow } from '../../src/token/token-in-hand.js';
import { TokensInHand } from '../../src/token/tokens-in-hand.js';
import { TokenLookUps } from '../../src/token/token-look-ups.js';
import { Vault } from '../../src/vault/vault.js';
import { type Json } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let keys: Record<string, string>;

beforeAll(async () => {
  broker = await world.local({ TRUSTED_PROXIES: '10.0.0.1' });
  await broker.broker.app.get(RenewalSchedule).stop();
  for (const path of ['42', '42/locations/7', '43']) await world.keepKonnect(broker, path);
  await world.install(broker, '42');
  const portal = { token: 'test-secret-personal', token_type: 'personal', scopes: [], expires_at: null };
  await world.api(broker, 'PUT', '/v1/connections/portal/companies/42', portal);
  const keyOf = async (...may: string[]): Promise<string> => (await world.client(broker, ...may)).key;
  keys = {
    all: ADMIN_KEY,
    company: await keyOf('token:read */companies/42'),
    below: await keyOf('token:read konnect/companies/42/**'),
    other: await keyOf('token:read konnect/companies/43'),
    unknown: `tbk_0123456789abcdef_${'x'.repeat(43)}`,
  };
  for (const key of Object.values(keys)) await ask('konnect/companies/42', key);
});

const routing = (): jest.SpiedFunction<() => void> =>
  jest.spyOn(
    broker.broker.app.getHttpAdapter().getInstance() as unknown as { routing: () => void },
    'routing',
  );
afterEach(() => void jest.restoreAllMocks());

interface Told {
  readonly status: number;
  readonly headers: Json;
  readonly body: Json;
}

/** A read, as it stands; without the headers that tell the time, and what differs from one answer to the next. */
function ask(path: string, key: string | undefined, headers: Record<string, string> = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(broker.api);
    const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
    const sent = send(
      { hostname, port, path: `/v1/tokens/${path}`, agent: false, headers: { ...authorization, ...headers } },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          const headers = { ...response.headers };
          const body = JSON.parse(text) as Json;
          expect([typeof headers.date, typeof headers['x-request-id']]).toEqual(['string', 'string']);
          for (const name of ['date', 'x-request-id', 'ratelimit', 'content-length']) delete headers[name];
          for (const name of ['request_id', 'expires_in', 'refresh_after', 'authorize_url'])
            body[name] &&= typeof body[name];
          resolve({ status: response.statusCode ?? 0, headers, body });
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

/** What is answered to requests that arrive at once, in one piece. */
function pipelined(ids: readonly string[], path: string, key: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(broker.api);
    let text = '';
    const head = `GET /v1/tokens/${path} HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer ${key}\r\n`;
    const socket = connect(Number(port), hostname, () =>
      socket.write(ids.map((id) => `${head}x-request-id: ${id}\r\n\r\n`).join('')),
    );
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if ((text.match(/"connection_id"/g) ?? []).length === ids.length) socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

/** How often each caller has read its token within the last half a minute. */
async function readsOf(resource: string): Promise<number[]> {
  await broker.broker.app.get(AuditFlush).flush();
  const rows = await world.sql<{ count: number }>(
    `select sum(count)::integer as count from audit_events
      where resource = $1 and outcome = 'allowed' and action = 'token:read' and at > broker_now() - interval '30 s'
      group by actor order by 1`,
    [resource],
  );
  return rows.map(({ count }) => count);
}

/** Which is all that keeps a read from the short way. */
const LONG = { 'content-length': '0' };

const PATHS = [
  'konnect/companies/42',
  'konnect/companies/42?min_ttl=60',
  'konnect/companies/42?min_ttl=3241',
  'konnect/companies/42?min_ttl=x',
  'konnect/companies/42?min_ttl=60&min_ttl=60',
  'konnect/companies/42?min_ttl=%36%30',
  'konnect/companies/42?scope=a,b',
  'konnect/companies/42?scope=a%2Cb',
  'konnect/companies/42?level=location',
  `konnect/companies/42?${'&'.repeat(1_001)}min_ttl=3600`,
  `konnect/companies/42?${'&'.repeat(300)}min_ttl=3600`,
  'konnect/companies/42?unknown=1',
  'konnect/companies/42?__proto__=1',
  'konnect/companies/42?',
  'konnect/companies/42/',
  'konnect/companies//42',
  'konnect/companies/..',
  'konnect/companies/44',
  'konnect/companies/42/locations/7',
  'konnect/companies/42/locations/7?level=location_then_company',
  'konnect/companies/42/locations/8',
  'konnect/companies/42/locations/8?level=location_then_company',
  'konnect/companies/42/locations/8?level=company',
  'konnect/companies/43',
  'fynd/companies/42',
  'fynd/companies/42?scope=company/products',
  'fynd/companies/42?scope=company/products&min_ttl=1',
  'fynd/companies/42?scope=company/secrets',
  'portal/companies/42',
  'nothing/companies/42',
  'konnect/companies/42?location?level=location_then_company',
  `konnect/companies/${'x'.repeat(65)}`,
];

describe('the short way', () => {
  it.each(['all', 'company', 'below', 'other', 'unknown', 'none'])(
    'answers as the long one does, to whoever may do this: %s',
    async (who) => {
      const calls = routing();
      for (const path of PATHS) {
        const short = await ask(path, keys[who]);
        const long = await ask(path, keys[who], LONG);
        expect([path, short]).toEqual([path, long]);
        // Nothing but a token is answered on it.
        const longWays = calls.mock.calls.length;
        const isShort = short.status === 200;
        expect([path, longWays]).toEqual([path, isShort ? 1 : 2]);
        calls.mockClear();
      }
    },
  );

  it('is taken by nothing that is unusual', async () => {
    const calls = routing();
    const unusual: Record<string, string>[] = [
      { 'x-forwarded-for': '192.0.2.1' },
      { expect: '100-continue' },
      { 'transfer-encoding': 'chunked' },
      LONG,
    ];
    expect((await ask('konnect/companies/%34%32', ADMIN_KEY)).status).toBe(200);
    expect(calls.mock.calls.length).toBe(1);
    calls.mockClear();
    for (const headers of unusual) {
      const { status } = await ask('konnect/companies/42', ADMIN_KEY, headers);
      expect([headers, status, calls.mock.calls.length]).toEqual([headers, 200, 1]);
      calls.mockClear();
    }
  });

  it('leaves the same trace, and gives a request its id', async () => {
    await world.advance(120);
    const both = ['short-way', 'long-way'];
    for (const [n, id] of both.entries())
      await ask('konnect/companies/42/locations/8?level=location_then_company', keys['below'], {
        'x-request-id': id,
        ...(n === 0 ? {} : LONG),
      });
    await ask('konnect/companies/42/locations/8?level=location_then_company', keys['all'], {
      'x-request-id': 'short-way-of-all',
    });
    await broker.broker.app.get(AuditFlush).flush();
    const rows = await world.sql<Json>(
      `select action, outcome, resource, token_version, count, request_id from audit_events
        where at > broker_now() - interval '1 minute' and resource = 'konnect/companies/42' order by at`,
    );
    expect(rows).toEqual([
      {
        action: 'token:read',
        outcome: 'allowed',
        resource: 'konnect/companies/42',
        token_version: 1,
        count: 1,
        request_id: 'short-way-of-all',
      },
    ]);
  });

  it('is opened from what is sealed in memory once it was asked for twice; each leaves a trace and has an id', async () => {
    const ids = Array.from({ length: 20 }, (_, n) => `at-once-${n}`);
    await ask('konnect/companies/43', ADMIN_KEY);
    await ask('konnect/companies/43', ADMIN_KEY);
    await world.advance(60);
    const opened = jest.spyOn(broker.broker.app.get(Vault), 'open');
    const fromMemory = jest.spyOn(KeptAnswer.prototype, 'write');
    const text = await pipelined(ids, 'konnect/companies/43', ADMIN_KEY);
    expect([opened.mock.calls.length, fromMemory.mock.calls.length]).toEqual([0, 20]);
    expect([...text.matchAll(/^x-request-id: (.*)\r$/gm)].map(([, id]) => id)).toEqual(ids);
    expect(new Set([...text.matchAll(/"access_token":"([^"]+)"/g)].map(([, token]) => token)).size).toBe(1);
    expect(text.match(/"access_token":"/g)).toHaveLength(20);
    expect(await readsOf('konnect/companies/43')).toEqual([20]);
  });

  it('lies nowhere in memory any more, as it was kept, once there is another', async () => {
    await ask('konnect/companies/42', ADMIN_KEY);
    await ask('konnect/companies/42', ADMIN_KEY);
    const former = broker.broker.app.get(TokensInHand).current('konnect/companies/42');
    expect(former?.answer).toBeInstanceOf(KeptAnswer);
    await world.api(broker, 'POST', '/v1/tokens/konnect/companies/42/report', { version: 1, status: 401 });
    expect(former?.answer).toBeNull();
    expect((await ask('konnect/companies/42', ADMIN_KEY)).body['version']).toBe(2);
  });

  it('is opened as the database has it where it is too long to be kept otherwise, which is found out once', async () => {
    const token = new Secret('x'.repeat(2_049));
    const row = { id: String((await world.keepKonnect(broker, '2049')).body['id']), provider: 'konnect' };
    const place = placeOf({ ...row, companyId: '2049' }, 'sealed_token');
    const sealed = broker.broker.app.get(Vault).seal(token, place);
    await world.sql('update connections set sealed_token = $2 where id = $1', [row.id, sealed]);
    const fromMemory = jest.spyOn(KeptAnswer.prototype, 'write');
    const takes = jest.spyOn(broker.broker.app.get(KeptAnswers), 'takes');
    for (let round = 0; round < 4; round += 1)
      expect((await ask('konnect/companies/2049', ADMIN_KEY)).body['access_token']).toBe(token.reveal());
    expect([fromMemory.mock.calls.length, takes.mock.calls.length]).toEqual([0, 1]);
  });

  it('counts for whoever read it, by turns, in the minute in which that was', async () => {
    const by = { admin: ADMIN_KEY, other: keys['other'] };
    const turns = ['admin', 'admin', 'other', 'admin', 'other', 'other', 'other'] as const;
    await world.advance(60);
    for (const turn of turns) await ask('konnect/companies/43', by[turn]);
    await ask('konnect/companies/43', keys['other'], LONG);
    expect(await readsOf('konnect/companies/43')).toEqual([3, 5]);
    await world.advance(60);
    for (const turn of turns) await ask('konnect/companies/43', by[turn]);
    expect(await readsOf('konnect/companies/43')).toEqual([3, 4]);
  });

  it('counts towards the limit of its caller, and what is one too many is refused on the long way', async () => {
    const { CallerLimits } = await import('../../src/clients/caller-limits.js');
    const counted = jest.spyOn(broker.broker.app.get(CallerLimits), 'count');
    await ask('konnect/companies/42', keys['company']);
    expect(counted).toHaveBeenCalledTimes(1);
  });
});

describe('a token that is not in memory', () => {
  it('is looked for together with all others that are asked for at the same moment', async () => {
    const all = Array.from({ length: 120 }, (_, n) => `together-${n}`);
    const kept = [0, 1, 118, 119].map((n) => all[n] ?? '');
    for (const each of [...kept, `${kept[0]}/locations/7`]) await world.keepKonnect(broker, each);
    const run = jest.spyOn(broker.broker.app.get(Database), 'run');
    const find = (companyId: string, locationId: string | null): Promise<TokenInHandRow | undefined> =>
      broker.broker.app.get(TokenLookUps).find({ provider: 'konnect', companyId, locationId });
    const [own, ofSeven] = await Promise.all([
      Promise.all(all.map((each) => find(each, null))),
      Promise.all(kept.map((each) => find(each, '7'))),
    ]);
    const statements = run.mock.calls.flatMap(([{ name = '' }]) => (/^tokens_in/.test(name) ? [name] : []));
    run.mockRestore();
    expect(own.map((row) => row?.companyId)).toEqual(
      all.map((each) => (kept.includes(each) ? each : undefined)),
    );
    expect(ofSeven.map((row) => row && [row.companyId, row.locationId])).toEqual([
      [kept[0], '7'],
      undefined,
      undefined,
      undefined,
    ]);
    expect(statements).toEqual([
      'tokens_in_hand_of_companies',
      'tokens_in_hand_of_companies',
      'tokens_in_hand_of_locations',
    ]);
  });
});
