import { beforeAll, describe, expect, it } from '@jest/globals';
import { LAST_CONNECTION } from '../../src/audit/audit-query.js';
import { SEARCH_SQL } from '../../src/audit/audit-search.sql.js';
import type { Answer, Json } from '../support/http.js';
import { rowsSeen, type ExplainedPlan } from '../support/plan-rows.js';
import { openSession } from '../support/sessions.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let reader: { id: string; key: string };

beforeAll(async () => {
  broker = await world.local();
  reader = await world.client(
    broker,
    ...['konnect', 'fynd', 'portal'].map((name) => `token:read ${name}/companies/**`),
    'token:read-session fynd/companies/**',
  );
});

const search = (query: string, key?: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/audit-events${query}`, undefined, key);
const read = (path: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/${path}`, undefined, reader.key);

describe('the exposure of a caller', () => {
  const exposure = async (query = ''): Promise<Json[]> =>
    (await search(`/exposure?actor=${reader.id}${query}`)).body['items'] as Json[];
  const of = async (resource: string): Promise<Json[]> =>
    (await exposure()).filter((item) => item['resource'] === resource);

  it('is not empty for a name that is mistyped: nobody is called so', async () => {
    const { status, body } = await search('/exposure?actor=nobdoy');
    expect([status, body['errors']]).toEqual([
      400,
      [{ field: 'actor', message: 'is no client, nor ever was' }],
    ]);
    for (const actor of ['admin', 'broker', 'seller', reader.id])
      expect((await search(`/exposure?actor=${actor}`)).status).toBe(200);
  });

  it('is each version that it got, and until when that is good', async () => {
    await world.install(broker, '50');
    const first = await read('fynd/companies/50');
    await read('fynd/companies/50');
    await world.api(broker, 'POST', '/v1/tokens/fynd/companies/50/report', { version: 1, status: 401 });
    const second = await read('fynd/companies/50');
    const [{ id, token_fingerprint: fingerprint } = {}] = await world.sql<Json>(
      `select id, token_fingerprint from connections where company_id = '50'`,
    );
    expect(await of('fynd/companies/50')).toEqual([
      {
        connection_id: id,
        resource: 'fynd/companies/50',
        token_version: 2,
        token_fingerprint: fingerprint,
        first_at: expect.any(String),
        last_at: expect.any(String),
        valid_until: second.body['expires_at'],
        still_valid: true,
      },
      expect.objectContaining({
        token_version: 1,
        valid_until: first.body['expires_at'],
        still_valid: true,
      }),
    ]);
    await world.advance(3_700);
    expect((await of('fynd/companies/50')).map((item) => item['still_valid'])).toEqual([false, false]);
  });

  it('of a token that never expires has no end, until its provider ends it', async () => {
    const made = { token: 'test-secret-endless', token_type: 'service' };
    const { body } = await world.api(broker, 'PUT', '/v1/connections/portal/companies/51', made);
    await read('portal/companies/51');
    expect(await of('portal/companies/51')).toEqual([
      expect.objectContaining({ valid_until: null, still_valid: true, never_expires: true }),
    ]);
    // A portal cannot be told: the token goes on.
    await world.api(broker, 'DELETE', `/v1/connections/${String(body['id'])}`);
    expect((await of('portal/companies/51'))[0]).toMatchObject({ still_valid: true });
  });

  it('of a revoked connection whose provider has ended the token ends with it, also once there is another', async () => {
    await world.api(broker, 'PUT', '/v1/connections/connect/companies/52', {
      access_token: 'test-secret-imported',
      refresh_token: 'test-secret-refresh',
      expires_in: 3_600,
    });
    const { id, key } = await world.client(broker, 'token:read connect/companies/52');
    await world.api(broker, 'GET', '/v1/tokens/connect/companies/52', undefined, key);
    const exposed = async (): Promise<Json | undefined> =>
      ((await search(`/exposure?actor=${id}`)).body['items'] as Json[])[0];
    expect(await exposed()).toMatchObject({ still_valid: true });
    // As if the provider had been told.
    const [{ connection } = {}] = await world.sql<Json>(
      `select id as connection from connections where company_id = '52'`,
    );
    await world.sql(
      `insert into audit_events (id, at, last_at, actor, action, outcome, resource, connection_id, token_version, reason)
       values (gen_random_uuid(), broker_now(), broker_now(), 'broker', 'connection:write', 'allowed', '', $1, 1, 'token_ended')`,
      [connection],
    );
    expect(await exposed()).toMatchObject({ still_valid: false });
  });

  it("has a session's token, too, and not what else was done with the session", async () => {
    const { ticket } = await openSession(world, broker, { companyId: '53' });
    const { body } = await world.api(broker, 'POST', '/v1/sessions', { ticket }, reader.key);
    expect(await of('fynd/companies/53')).toEqual([]);
    await read(`fynd/sessions/${String(body['session_id'])}?company_id=53`);
    expect(await of('fynd/companies/53')).toEqual([
      expect.objectContaining({ connection_id: null, token_version: 1, still_valid: true }),
    ]);
  });

  it('is of a time, where one is asked for; and of an actor, always', async () => {
    const later = new Date(world.clock.now().getTime() + 3_600_000).toISOString();
    expect(await exposure(`&from=${later}`)).toEqual([]);
    expect(await exposure(`&to=2020-01-01T00:00:00Z`)).toEqual([]);
    expect((await search('/exposure')).status).toBe(400);
  });

  it.each(['cursor=abc', 'cursor=MTIzLjEyMw', 'limit=0', 'limit=201', 'offset=1'])(
    'is not asked by %s',
    async (query) => {
      const { status, body } = await search(`/exposure?actor=a&${query}`);
      expect([status, (body['errors'] as Json[])[0]?.['field']]).toEqual([400, query.split('=')[0]]);
    },
  );
});

describe('the exposure of a caller that has read for 400 days', () => {
  const ACTORS = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
  const CONNECTIONS = ['aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'];

  beforeAll(async () => {
    // Two clients of one name, one after the other.
    for (const id of ACTORS)
      await world.sql(
        `insert into clients (id, name, permissions, created_by, deleted_at)
         values ($1, 'faithful', '[]', 'test', broker_now())`,
        [id],
      );
    // One token that was never another, one that was replaced each day, and a session's now and then.
    await world.sql(
      `insert into audit_events (id, at, last_at, actor, action, outcome, resource, connection_id, token_version, token_fingerprint)
       select gen_random_uuid(), t, t, ($1::text[])[1 + n / 2 % 2], 'token:read', 'allowed', 'portal/companies/1',
         case n % 50 when 0 then null else ($2::uuid[])[1 + n % 2] end,
         case when n % 2 = 0 or n % 50 = 0 then 1 else 1 + n / 50 end,
         md5(case when n % 50 = 0 then 'session' || n / 5000 when n % 2 = 0 then 'same' else 'version' || n / 50 end)
       from generate_series(0, 19999) n, lateral (select broker_now() - (20000 - n) * interval '28 minutes' as t) at`,
      [ACTORS, CONNECTIONS],
    );
    await world.sql('analyze audit_events');
  });

  const pagesOf = async (query: string): Promise<Json[][]> => {
    const pages: Json[][] = [];
    for (let cursor = ''; ;) {
      const { body } = await search(`/exposure?actor=faithful${query}${cursor && `&cursor=${cursor}`}`);
      pages.push(body['items'] as Json[]);
      if (typeof body['next_cursor'] !== 'string') return pages;
      cursor = body['next_cursor'];
    }
  };

  it('comes in pages that miss no token and tell none twice', async () => {
    const pages = await pagesOf('&limit=33');
    expect(new Set(pages.slice(0, -1).map(({ length }) => length))).toEqual(new Set([33]));
    const tokens = pages.flat().map((item) => item['token_fingerprint']);
    expect([tokens.length, new Set(tokens).size]).toEqual([400 + 1 + 4, 400 + 1 + 4]);
    const [same, ...none] = pages.flat().filter((item) => item['connection_id'] === CONNECTIONS[0]);
    expect(none).toEqual([]);
    const [{ first, last } = {}] = await world.sql<{ first: Date; last: Date }>(
      `select min(at) as first, max(at) as last from audit_events where connection_id = $1`,
      [CONNECTIONS[0]],
    );
    expect(same).toMatchObject({ first_at: first?.toISOString(), last_at: last?.toISOString() });
  });

  it('is of the last days alone, where those are asked for', async () => {
    const from = new Date(world.clock.now().getTime() - 3 * 86_400_000).toISOString();
    const found = (await pagesOf(`&limit=2&from=${from}`)).flat();
    const versions = found
      .filter((item) => item['connection_id'] === CONNECTIONS[1])
      .map((item) => item['token_version']);
    expect(versions).toEqual([...versions].sort((one, other) => Number(other) - Number(one)));
    expect([versions.length, versions[0]]).toEqual([4, 400]);
  });

  it('looks at no more than it tells, however often a token was read', async () => {
    const plan = await world.sql<ExplainedPlan>(
      `explain (analyze, format json) ${SEARCH_SQL.exposure.text}`,
      [ACTORS, null, null, LAST_CONNECTION, 2_147_483_647, '', 51],
    );
    const seen = rowsSeen(plan, 'audit_events');
    expect(seen).toBeGreaterThan(51);
    expect(seen).toBeLessThan(51 * 20);
  });
});
