import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 6_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const nextCompany = (): string => String(++companies);
const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1/connections${path}`, body);
const token = (path: string): Promise<Answer> => world.api(broker, 'GET', `/v1/tokens/${path}`);

async function list(query: string): Promise<Json[]> {
  const { status, body } = await call('GET', `?${query}`);
  expect([query, status]).toEqual([query, 200]);
  return body['items'] as Json[];
}

/** A company that has installed the extension, and its connection. */
async function installed(): Promise<{ company: string; connection: Json; id: string }> {
  const company = nextCompany();
  await world.install(broker, company);
  const [connection = {}] = await list(`company_id=${company}`);
  return { company, connection, id: String(connection['id']) };
}

/** Without asking the provider: for lists. */
const keep = (path: string): Promise<Answer> =>
  call('PUT', `/konnect/companies/${path}`, {
    username: path,
    password: `test-secret-${path}`,
    verify: false,
  });

describe('a connection', () => {
  it('is shown with everything but its secrets', async () => {
    const { company, connection, id } = await installed();
    const { status, headers, body } = await call('GET', `/${id}`);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toEqual({
      id: UUID,
      provider: 'fynd',
      kind: 'fynd-platform',
      company_id: company,
      location_id: null,
      level: 'company',
      status: 'active',
      status_reason: null,
      scopes: ['company/products', 'company/orders'],
      missing_scopes: [],
      token_version: 1,
      token_fingerprint: expect.any(String),
      expires_at: TIME,
      renew_at: TIME,
      next_try_at: TIME,
      last_renewed_at: null,
      last_error: null,
      consecutive_failures: 0,
      advice: expect.stringMatching(/^All is well; /),
      rotate_by: null,
      created_at: TIME,
      updated_at: TIME,
    });
    expect(connection).toEqual(body);
    const { body: served } = await token(`fynd/companies/${company}`);
    expect(JSON.stringify(body)).not.toContain(served['access_token']);
  });

  it('of a location that has no token yet says so', async () => {
    const company = nextCompany();
    const { status, body } = await keep(`${company}/locations/L1`);
    expect(status).toBe(201);
    expect(body).toEqual({
      id: UUID,
      provider: 'konnect',
      kind: 'konnect',
      company_id: company,
      location_id: 'L1',
      level: 'location',
      status: 'active',
      status_reason: null,
      scopes: [],
      missing_scopes: [],
      token_version: 0,
      token_fingerprint: null,
      expires_at: null,
      renew_at: TIME,
      next_try_at: TIME,
      last_renewed_at: null,
      last_error: null,
      consecutive_failures: 0,
      advice: expect.stringMatching(/^All is well; /),
      rotate_by: TIME,
      created_at: TIME,
      updated_at: TIME,
    });
  });

  it('names the scopes that its provider is set up with and its grant lacks', async () => {
    await world.simulator.settings('fynd', { granted_scopes: ['company/products'] });
    const { connection } = await installed();
    expect(connection).toMatchObject({ scopes: ['company/products'], missing_scopes: ['company/orders'] });
  });

  it('that does not exist is a 404 on every route, and a malformed id a 400', async () => {
    const routes = [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/renew'],
    ] as const;
    for (const [method, end] of routes) {
      const none = await call(method, `/00000000-0000-4000-8000-000000000000${end}`);
      expect([method, none.status, none.body['code']]).toEqual([method, 404, 'connection_not_found']);
      for (const id of ['42', '00000000-0000-4000-8000-00000000000', 'fynd']) {
        const bad = await call(method, `/${id}${end}`);
        expect([method, id, bad.status, bad.body['code']]).toEqual([method, id, 400, 'invalid_request']);
      }
    }
  });
});

describe('the list of connections', () => {
  it('is filtered by provider, company, location and status, and by all together', async () => {
    const { company, id } = await installed();
    await keep(company);
    await keep(`${company}/locations/L1`);
    const revoked = (await keep(`${company}/locations/L2`)).body['id'];
    await call('DELETE', `/${String(revoked)}`);
    const counted = async (query: string): Promise<number> => (await list(query)).length;
    expect(await counted(`company_id=${company}`)).toBe(4);
    expect(await counted(`company_id=${company}&provider=konnect`)).toBe(3);
    expect(await counted(`company_id=${company}&location_id=L1`)).toBe(1);
    expect(await counted(`company_id=${company}&status=active`)).toBe(3);
    expect(await counted(`company_id=${company}&status=revoked&provider=konnect&location_id=L2`)).toBe(1);
    expect(await counted(`company_id=${company}&status=suspect`)).toBe(0);
    expect((await list(`company_id=${company}&provider=fynd`)).map((it) => it['id'])).toEqual([id]);
    expect((await call('GET', '?company_id=nobody')).body).toEqual({ items: [], next_cursor: null });
  });

  it('pages in 1 to 200, and refuses what it does not understand', async () => {
    for (const limit of [1, 200]) expect((await call('GET', `?limit=${limit}`)).status).toBe(200);
    const bad = [
      ...['limit=0', 'limit=201', 'limit=-1', 'limit=1.5', 'limit=abc', 'limit=', 'limit=1&limit=2'],
      ...['status=dead', 'status=', 'status=active&status=revoked', 'provider=a&provider=b', 'provider='],
      ...['company_id=a/b', 'company_id=..', `company_id=${'x'.repeat(65)}`, 'location_id=', 'offset=10'],
      ...['__proto__=1', 'constructor=1', 'cursor=abc&cursor=abc'],
      ...[`cursor=${Buffer.from('42').toString('base64url')}`, 'cursor=', 'cursor=%00', 'cursor=abc'],
      `cursor=00000000-0000-4000-8000-000000000000`,
    ];
    const answers = await Promise.all(bad.map((query) => call('GET', `?${query}`)));
    expect(answers.map(({ status, body }, n) => [bad[n], status, body['code']])).toEqual(
      bad.map((query) => [query, 400, 'invalid_request']),
    );
  });

  it('shows every connection exactly once over its pages while others are being made', async () => {
    const company = nextCompany();
    const there = await Promise.all(
      Array.from({ length: 23 }, async (_, n) => (await keep(`${company}/locations/L${n}`)).body['id']),
    );
    const seen: unknown[] = [];
    let pages = 0;
    let cursor: string | null = null;
    do {
      const after: string = cursor === null ? '' : `&cursor=${cursor}`;
      const { body } = await call('GET', `?company_id=${company}&limit=5${after}`);
      seen.push(...(body['items'] as Json[]).map((item) => item['id']));
      cursor = body['next_cursor'] as string | null;
      pages++;
      for (const n of [1, 2]) await keep(`${company}/locations/new-${pages}-${n}`);
    } while (cursor !== null);
    expect(pages).toBeGreaterThanOrEqual(5);
    expect(new Set(seen).size).toBe(seen.length);
    expect(there.filter((id) => !seen.includes(id))).toEqual([]);
  });

  it('ends with a null cursor, also where the last page is full', async () => {
    const company = nextCompany();
    for (const n of [1, 2, 3, 4]) await keep(`${company}/locations/L${n}`);
    const first = (await call('GET', `?company_id=${company}&limit=2`)).body;
    const second = (
      await call('GET', `?company_id=${company}&limit=2&cursor=${String(first['next_cursor'])}`)
    ).body;
    expect([(second['items'] as Json[]).length, second['next_cursor']]).toEqual([2, null]);
  });
});
