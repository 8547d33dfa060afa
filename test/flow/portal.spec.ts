import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Answer, Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 20_000;

beforeAll(async () => {
  broker = await world.local({ PORTAL_BASE_URL: 'https://portal.example/' });
});

const keep = (path: string, body: unknown): Promise<Answer> =>
  world.api(broker, 'PUT', `/v1/connections/portal/companies/${path}`, body);
const get = (path: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/portal/companies/${path}`);
const found = async (id: unknown): Promise<Json> =>
  (await world.api(broker, 'GET', `/v1/connections/${String(id)}`)).body;

const next = (): string => String(++companies);
const inSeconds = (seconds: number): string =>
  new Date(world.clock.now().getTime() + seconds * 1_000).toISOString();
const secret = (name: string | number): string => `test-secret-portal-${name}`;
const aToken = (changes: Json = {}): Json => ({
  token: secret(companies),
  token_type: 'service',
  ...changes,
});

describe('a token that was made by hand', () => {
  it('is kept as the contract has it, and shown without the token', async () => {
    const company = next();
    const expires_at = inSeconds(86_400);
    const { status, body, text } = await keep(company, {
      token: secret('one'),
      token_type: 'service',
      scopes: ['orders', 'products'],
      expires_at,
      shared_externally: true,
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(String),
      provider: 'portal',
      kind: 'portal',
      company_id: company,
      location_id: null,
      level: 'company',
      status: 'active',
      status_reason: null,
      scopes: ['orders', 'products'],
      missing_scopes: [],
      token_version: 1,
      token_fingerprint: expect.any(String),
      expires_at,
      renew_at: null,
      next_try_at: null,
      last_renewed_at: null,
      last_error: null,
      consecutive_failures: 0,
      advice: expect.stringMatching(/^All is well; /),
      rotate_by: expect.any(String),
      token_type: 'service',
      shared_externally: true,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect(text).not.toContain('test-secret');
    expect(await found(body['id'])).toEqual(body);
  });

  it('is handed out just as it was given', async () => {
    const company = next();
    const expires_at = inSeconds(100);
    const { body: kept } = await keep(company, aToken({ scopes: ['orders'], expires_at }));
    const { status, body, headers } = await get(company);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toEqual({
      access_token: secret(company),
      token_type: 'Bearer',
      header: { name: 'Authorization', value: `Bearer ${secret(company)}` },
      base_url: 'https://portal.example',
      expires_at,
      expires_in: expect.any(Number),
      refresh_after: expires_at,
      scopes: ['orders'],
      version: 1,
      stale: false,
      provider: 'portal',
      company_id: company,
      location_id: null,
      level: 'company',
      connection_id: kept['id'],
    });
    expect(body['expires_in']).toBeGreaterThan(95);
    expect(body['expires_in']).toBeLessThan(100);
  });

  it.each(['personal', 'service', 'base', 'test'])('may be of the type %s', async (token_type) => {
    const company = next();
    expect((await keep(company, aToken({ token_type }))).body).toMatchObject({ token_type });
    expect((await get(company)).body['access_token']).toBe(secret(company));
  });

  it('needs nothing but its type, and then has no scopes and no end', async () => {
    const company = next();
    const plain = { scopes: [], expires_at: null, shared_externally: false };
    expect((await keep(company, aToken())).body).toMatchObject(plain);
    expect((await get(company)).body).toMatchObject({ expires_at: null, expires_in: null, scopes: [] });
    const nulls = { scopes: null, expires_at: null, shared_externally: null };
    await keep(company, aToken({ scopes: ['orders'] }));
    expect((await keep(company, aToken(nulls))).body).toMatchObject(plain);
  });

  it.each([
    ['in UTC', '2199-01-31T00:00:00Z', '2199-01-31T00:00:00.000Z'],
    ['with an offset', '2199-01-31T05:30:00.250+05:30', '2199-01-31T00:00:00.250Z'],
    ['with one to the west', '2199-01-31T00:00:00-12:00', '2199-01-31T12:00:00.000Z'],
    ['to the microsecond', '2199-02-01T00:00:00.123456Z', '2199-02-01T00:00:00.123Z'],
  ])('ends at the very time that is given, %s', async (_, expires_at, instant) => {
    const company = next();
    expect((await keep(company, aToken({ expires_at }))).body['expires_at']).toBe(instant);
    expect((await get(company)).body['expires_at']).toBe(instant);
  });

  it('in the hands of somebody outside needs an end', async () => {
    const company = next();
    for (const open of [{}, { expires_at: null }]) {
      const { status, body } = await keep(company, aToken({ shared_externally: true, ...open }));
      expect([status, (body['errors'] as Json[])[0]?.['field']]).toEqual([400, 'expires_at']);
    }
    const ends = { shared_externally: true, expires_at: inSeconds(86_400) };
    expect((await keep(company, aToken(ends))).body).toMatchObject(ends);
  });

  it('lives on where it was, when another is refused', async () => {
    const company = next();
    const { body } = await keep(company, aToken());
    await keep(company, { ...aToken(), token: 'not a token' });
    await keep(company, aToken({ expires_at: inSeconds(-1) }));
    expect(await found(body['id'])).toEqual(body);
  });

  const TIMES = [
    ...['2199-01-31', '2199-01-31T00:00:00', '2199-01-31 00:00:00Z', '2199-01-31T00:00Z', '21990131T000000Z'],
    ...['2199-W05-1T00:00:00Z', '2199-031T00:00:00Z', '2199-02-30T00:00:00Z', '2199-01-31T00:00:60Z'],
    ...['2199-01-31T25:00:00Z', '2199-01-31T00:00:00+99:99', '+012199-01-31T00:00:00Z', '', 'never'],
    ...[4_102_444_800, true, [], {}, '2020-01-31T00:00:00Z'],
  ];
  it.each<[string, Json[]]>([
    [
      'token',
      [undefined, null, '', 'a b', 'a\nb', 'ä', 7, {}, 'x'.repeat(16_385)].map((token) => ({ token })),
    ],
    [
      'token_type',
      [undefined, null, '', 'Service', 'bearer', 1, ['service']].map((it) => ({ token_type: it })),
    ],
    ['scopes', ['orders', [''], ['a b'], [1], {}, Array(201).fill('a')].map((scopes) => ({ scopes }))],
    ['expires_at', TIMES.map((expires_at) => ({ expires_at }))],
    [
      'shared_externally',
      ['true', 1, {}].map((it) => ({ shared_externally: it, expires_at: inSeconds(9_999) })),
    ],
    ['username', [{ username: 'test-secret-who' }]],
    ['verify', [{ verify: false }]],
  ])('with a malformed %s is a 400 that names it', async (field, changes) => {
    const company = next();
    for (const change of changes) {
      const { status, body, text } = await keep(company, aToken(change));
      expect([change, status, body['code']]).toEqual([change, 400, 'invalid_request']);
      expect((body['errors'] as Json[]).map((error) => error['field'])).toEqual([field]);
      expect(text).not.toContain('test-secret');
    }
    expect((await get(company)).body['code']).toBe('connection_not_found');
  });
});

describe('another token in its place', () => {
  it('is the next version of the same connection', async () => {
    const company = next();
    const first = await keep(company, aToken({ scopes: ['orders'], expires_at: inSeconds(600) }));
    const second = await keep(company, aToken({ token: secret('other'), token_type: 'base' }));
    expect(second.status).toBe(200);
    expect(second.body).toMatchObject({
      id: first.body['id'],
      created_at: first.body['created_at'],
      token_version: 2,
      token_type: 'base',
      scopes: [],
      expires_at: null,
    });
    expect(second.body['token_fingerprint']).not.toBe(first.body['token_fingerprint']);
    expect((await get(company)).body).toMatchObject({ access_token: secret('other'), version: 2 });
  });

  it('that is the same is no new version, but what is said of it counts', async () => {
    const company = next();
    const first = await keep(company, aToken({ scopes: ['orders'] }));
    const expires_at = inSeconds(7_200);
    const again = await keep(company, aToken({ scopes: ['products'], expires_at }));
    expect([again.status, again.body]).toEqual([
      200,
      {
        ...first.body,
        scopes: ['products'],
        expires_at,
        advice: expect.any(String),
        updated_at: expect.any(String),
      },
    ]);
    expect((await get(company)).body).toMatchObject({ version: 1, expires_at, scopes: ['products'] });
  });

  it('revives a connection that was revoked, whose versions count on', async () => {
    const company = next();
    const { body } = await keep(company, aToken());
    await world.api(broker, 'DELETE', `/v1/connections/${String(body['id'])}`);
    expect((await get(company)).body['code']).toBe('connection_revoked');
    const revived = await keep(company, aToken({ token: secret('revived') }));
    expect([revived.status, revived.body]).toMatchObject([
      200,
      { id: body['id'], token_version: 2, status: 'active', status_reason: null },
    ]);
    expect((await get(company)).body).toMatchObject({ access_token: secret('revived'), version: 2 });
  });
});

describe("a location's token", () => {
  it('is its own, and its company gets none of it', async () => {
    const company = next();
    expect((await keep(`${company}/locations/L1`, aToken())).status).toBe(201);
    expect((await get(`${company}/locations/L1`)).body).toMatchObject({
      level: 'location',
      location_id: 'L1',
    });
    for (const other of [company, `${company}/locations/L2`])
      expect((await get(other)).body['code']).toBe('connection_not_found');
  });

  it("cannot be its company's, whichever was kept first, however often it is tried", async () => {
    const company = next();
    await keep(company, aToken());
    const disguised = await keep(`${company}/locations/L1`, aToken());
    expect([disguised.status, disguised.body['code']]).toEqual([422, 'credential_rejected']);
    expect((await get(`${company}/locations/L1`)).status).toBe(404);
    await keep(`${company}/locations/L1`, aToken({ token: secret('of-l1') }));
    expect((await keep(company, aToken({ token: secret('of-l1') }))).status).toBe(422);
    for (let guess = 0; guess < 6; guess += 1)
      expect((await keep(company, aToken({ token: secret('of-l1') }))).status).toBe(422);
    expect((await get(company)).body).toMatchObject({ access_token: secret(company), version: 1 });
  });

  it("can be what another company's or another location's is", async () => {
    const [one, other] = [next(), next()];
    const token = secret('shared');
    await keep(one, aToken({ token }));
    expect((await keep(`${other}/locations/L1`, aToken({ token }))).status).toBe(201);
    expect((await keep(`${other}/locations/L2`, aToken({ token }))).status).toBe(201);
  });

  it("may fall back to its company's where it has none, and not where its own was revoked", async () => {
    const company = next();
    await keep(company, aToken());
    const location = `${company}/locations/L1`;
    expect((await get(`${location}?level=location_then_company`)).body).toMatchObject({
      level: 'company',
      access_token: secret(company),
    });
    const { body } = await keep(location, aToken({ token: secret('own') }));
    await world.api(broker, 'DELETE', `/v1/connections/${String(body['id'])}`);
    expect((await get(`${location}?level=location_then_company`)).body['code']).toBe('connection_revoked');
  });
});
