import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { Issuer } from '../support/issuer.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let issuer: Issuer;
let broker: LocalBroker;

beforeAll(async () => {
  issuer = await Issuer.start();
  broker = await world.local({ WORKLOAD_ISSUERS: issuer.url, TRUSTED_PROXIES: '127.0.0.1' });
  await world.keepKonnect(broker, '42');
});
afterAll(() => issuer.down());

type Headers = Record<string, string>;

const SESSION = '/console/session';
const own = (): Headers => ({ origin: broker.api });
const send = (method: string, path: string, headers: Headers): Promise<Answer> =>
  ask(method, `${broker.api}${path}`, headers);
const signIn = (credential: string, headers: Headers = own()): Promise<Answer> =>
  send('POST', SESSION, { authorization: `Bearer ${credential}`, ...headers });

/** What a browser sends back of an answer's cookie. */
function cookieOf({ headers }: Answer): string {
  return headers.getSetCookie()[0]?.split(';')[0] ?? '';
}

async function session(credential: string): Promise<string> {
  return cookieOf(await signIn(credential));
}

const look = async (cookie: string, path = '/v1/connections', headers: Headers = {}): Promise<number> =>
  (await send('GET', path, { cookie, ...headers })).status;

/** A request to another host than the one that the broker is reached by: fetch would not send it. */
function askHost(method: string, path: string, headers: Headers): Promise<number | undefined> {
  const { hostname, port } = new URL(broker.api);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on('error', reject).end();
  });
}

describe('a session of the console', () => {
  it('is traded for a key: a cookie that no script reads, no other site sends, and that is not the key', async () => {
    const answer = await signIn(ADMIN_KEY);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      signed_in: true,
      client: { id: 'admin', name: 'ADMIN_KEY' },
      permissions: [{ action: '*', resource: '**' }],
    });
    const [cookie = ''] = answer.headers.getSetCookie();
    expect(cookie).toMatch(
      /^tb_console=[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+; Max-Age=1800; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const [header = ''] = cookie.slice('tb_console='.length).split('.');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ alg: 'dir', enc: 'A256GCM' });
    expect(await look(cookieOf(answer))).toBe(200);
    expect((await send('GET', SESSION, { cookie: cookieOf(answer) })).body).toMatchObject({
      signed_in: true,
    });
    expect((await send('GET', SESSION, {})).body).toMatchObject({ signed_in: false, client: null });
  });

  it('is given to nobody without a credential, or with one that is nobody’s', async () => {
    expect((await send('POST', SESSION, own())).status).toBe(401);
    const { status, headers } = await signIn('test-secret-of-nobody-at-all-really-nobody');
    expect([status, headers.getSetCookie()]).toEqual([401, []]);
  });

  it('is sealed: one that was changed, or cut, or is of another purpose is none', async () => {
    const cookie = await session(ADMIN_KEY);
    const [name = '', value = ''] = cookie.split('=');
    const parts = value.split('.');
    const changed = parts.map((part, index) => (index === 3 ? `A${part.slice(1)}B` : part)).join('.');
    for (const forged of [changed, value.slice(0, -4), '', 'x', `${value}.x`])
      expect([forged.length, await look(`${name}=${forged}`)]).toEqual([forged.length, 401]);
  });

  it('over plain http is good only from the address that it was opened from: every port of a machine gets its cookies', async () => {
    const cookie = await session(ADMIN_KEY);
    expect(await look(cookie)).toBe(200);
    expect(await look(cookie, '/v1/connections', { 'x-forwarded-for': '203.0.113.9' })).toBe(401);
  });

  it('is of its client: the same permissions, and the trail names it', async () => {
    const { id, key } = await world.client(broker, 'connection:read konnect/companies/42', 'audit:read **');
    const cookie = await session(key);
    const items = (await send('GET', '/v1/connections', { cookie })).body['items'] as Json[];
    expect(items.map((it) => it['company_id'])).toEqual(['42']);
    const refused = await send('POST', `/v1/connections/${String(items[0]?.['id'])}/renew`, {
      cookie,
      ...own(),
    });
    expect([refused.status, refused.body['code']]).toEqual([403, 'forbidden']);
    expect((await send('GET', '/v1/overview', { cookie })).status).toBe(403);
    const traced = await eventually(async () => {
      const found = (await world.api(broker, 'GET', `/v1/audit-events?actor=${id}`)).body['items'] as Json[];
      return found.length >= 3 && found;
    });
    const told = traced.map((it) => [it['action'], it['outcome'], it['reason'], it['key_id']]);
    const keyId = key.split('_')[1];
    expect(told).toContainEqual(['*', 'allowed', 'signed_in', keyId]);
    expect(told).toContainEqual(['connection:renew', 'denied', 'forbidden', keyId]);
  });

  it('leads to no token and to no key: those are for whoever brings a credential', async () => {
    const cookie = await session(ADMIN_KEY);
    const { id } = await world.client(broker, 'token:read konnect/companies/42');
    expect(await look(cookie, '/v1/tokens/konnect/companies/42')).toBe(401);
    for (const path of [
      '/v1/clients',
      `/v1/clients/${id}/rotate`,
      '/v1/sessions',
      '/v1/tokens/konnect/companies/42/report',
    ])
      expect([path, (await send('POST', path, { cookie, ...own() })).status]).toEqual([path, 401]);
    expect(await look(cookie, '/v1/clients')).toBe(200);
  });

  it('ends after half an hour of nothing, and goes on where something is done, but not for ever', async () => {
    let cookie = await session(ADMIN_KEY);
    await world.advance(1_790);
    expect(await look(cookie)).toBe(200);
    cookie = cookieOf(await send('POST', SESSION, { cookie, ...own() }));
    await world.advance(1_700);
    expect(await look(cookie)).toBe(200);
    await world.advance(110);
    expect(await look(cookie)).toBe(401);
    cookie = await session(ADMIN_KEY);
    let ends = 0;
    for (let hours = 0; hours < 8.5; hours += 0.45) {
      const prolonged = await send('POST', SESSION, { cookie, ...own() });
      if (prolonged.status === 401) ends ||= hours;
      cookie = cookieOf(prolonged) || cookie;
      await world.advance(0.45 * 3_600);
    }
    expect(ends).toBeGreaterThan(7.5);
  });

  it('ends with its key, with its client, and with ADMIN_KEY', async () => {
    const rotated = await world.client(broker, 'connection:read **');
    const deleted = await world.client(broker, 'connection:read **');
    const cookies = [await session(rotated.key), await session(deleted.key)];
    for (const cookie of cookies) expect(await look(cookie)).toBe(200);
    await world.api(broker, 'POST', `/v1/clients/${rotated.id}/rotate`, { overlap: 0 });
    await world.api(broker, 'DELETE', `/v1/clients/${deleted.id}`);
    for (const cookie of cookies) expect(await look(cookie)).toBe(401);
    const other = await world.local({
      ADMIN_KEY: 'test-secret-another-admin-key-of-32-letters',
      TRUSTED_PROXIES: '127.0.0.1',
    });
    const cookie = await session(ADMIN_KEY);
    const { host } = new URL(broker.api);
    const { status } = await ask('GET', `${other.api}/v1/connections`, { cookie, 'x-forwarded-host': host });
    expect(status).toBe(401);
  });

  it('of a workload ends with its token, and with its client', async () => {
    const subject = 'system:serviceaccount:shop:operator';
    const workload = { issuer: issuer.url, subject };
    const permissions = [{ action: 'connection:read', resource: '**' }];
    const create = (): Promise<Answer> =>
      world.api(broker, 'POST', '/v1/clients', { name: 'operator', permissions, workload });
    const made = await create();
    const exp = Math.floor(world.clock.now().getTime() / 1_000) + 900;
    const jwt = await issuer.token({ sub: subject, aud: 'token-broker', exp });
    const answer = await signIn(jwt);
    expect(answer.body).toMatchObject({
      client: { name: 'operator' },
      until: new Date(exp * 1_000).toISOString(),
    });
    expect(answer.headers.getSetCookie()[0]).not.toContain(jwt);
    const cookie = cookieOf(answer);
    expect(await look(cookie)).toBe(200);
    await world.api(broker, 'DELETE', `/v1/clients/${String(made.body['id'])}`);
    await create();
    // The workload is another client now, and the session none of its.
    expect(await look(cookie)).toBe(401);
    const again = cookieOf(await signIn(jwt));
    expect(await look(again)).toBe(200);
    await world.advance(901);
    expect(await look(again)).toBe(401);
  });

  it('is left by who signs out', async () => {
    const { status, headers } = await send('DELETE', SESSION, { cookie: await session(ADMIN_KEY), ...own() });
    expect(status).toBe(204);
    expect(headers.getSetCookie()).toEqual([
      '__Host-tb_console=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict',
      'tb_console=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict',
    ]);
  });

  it('is nothing on the public listener', async () => {
    for (const path of ['/console', '/console/console.js', SESSION])
      expect([path, (await ask('GET', `${broker.public}${path}`)).status]).toEqual([path, 404]);
  });
});

describe('another page', () => {
  it('neither signs anybody in nor changes anything in their name', async () => {
    const cookie = await session(ADMIN_KEY);
    const foreign: Headers[] = [
      {},
      { origin: 'null' },
      { origin: 'https://elsewhere.example' },
      { origin: `${broker.api}0` },
      { origin: `${broker.api}/` },
      { origin: broker.api.replace('127.0.0.1', 'localhost') },
      { origin: broker.api, 'sec-fetch-site': 'same-site' },
      { origin: broker.api, 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of foreign) {
      expect([headers, (await signIn(ADMIN_KEY, headers)).status]).toEqual([headers, 403]);
      const paused = await send('POST', '/v1/providers/konnect/pause', { cookie, ...headers });
      expect([headers, paused.status, paused.body['code']]).toEqual([headers, 403, 'forbidden']);
      expect([headers, (await send('DELETE', SESSION, { cookie, ...headers })).status]).toEqual([
        headers,
        403,
      ]);
    }
    const { body } = await world.api(broker, 'GET', '/v1/providers');
    expect((body['items'] as Json[]).map((it) => it['status'])).not.toContain('paused');
    const own403 = await send('POST', '/v1/providers/konnect/pause', { cookie, ...own() });
    expect(own403.status).toBe(200);
    await world.api(broker, 'POST', '/v1/providers/konnect/resume');
  });

  it('reads nothing in their name either, and nor does whoever follows a link', async () => {
    const cookie = await session(ADMIN_KEY);
    for (const site of ['cross-site', 'same-site', 'none'])
      expect([site, await look(cookie, '/v1/connections', { 'sec-fetch-site': site })]).toEqual([site, 403]);
    expect(await look(cookie, '/v1/connections', { 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await look(cookie, '/v1/connections', { origin: 'https://elsewhere.example' })).toBe(403);
  });

  it('of another name for the same address has a session of its own, or none', async () => {
    const cookie = await session(ADMIN_KEY);
    const { host } = new URL(broker.api);
    expect(await askHost('GET', '/v1/connections', { cookie, host })).toBe(200);
    expect(await askHost('GET', '/v1/connections', { cookie, host: 'rebound.example' })).toBe(401);
    const origin = 'http://rebound.example';
    expect(
      await askHost('POST', '/v1/providers/konnect/pause', { cookie, host: 'rebound.example', origin }),
    ).toBe(401);
  });
});

describe('the way to the console', () => {
  const through = (host: string, proto: string): Headers => ({
    origin: `${proto}://${host}`,
    'x-forwarded-host': host,
    'x-forwarded-proto': proto,
  });

  it('has to be https, or end on this machine', async () => {
    const { status, body } = await signIn(ADMIN_KEY, through('broker.internal', 'http'));
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
    expect(body['detail']).toContain('https');
    const answer = await signIn(ADMIN_KEY, through('broker.internal', 'https'));
    const [cookie = ''] = answer.headers.getSetCookie();
    expect(cookie).toMatch(/^__Host-tb_console=.*; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
    const away = { 'x-forwarded-host': 'broker.internal', 'x-forwarded-proto': 'https' };
    expect(await look(cookieOf(answer), '/v1/connections', away)).toBe(200);
    // The other name is another host's, whoever it belongs to.
    const beside = { ...away, 'x-forwarded-host': 'beside.internal' };
    expect(await look(cookieOf(answer), '/v1/connections', beside)).toBe(401);
    // Under the plain name it may be another host's.
    expect(await look(cookieOf(answer).replace('__Host-', ''), '/v1/connections', away)).toBe(401);
  });

  it('over https is not shared with a page over http', async () => {
    const headers = { ...through('broker.internal', 'https'), origin: 'http://broker.internal' };
    expect((await signIn(ADMIN_KEY, headers)).status).toBe(403);
  });
});

describe('trying keys by signing in', () => {
  it('counts as trying them anywhere', async () => {
    await world.advance(11);
    const statuses: number[] = [];
    for (let tried = 0; tried < 70; tried += 1) {
      const made = `tbk_${String(tried).padStart(16, '0')}_${'x'.repeat(43)}`;
      statuses.push((await signIn(made)).status);
    }
    expect([...new Set(statuses)].sort()).toEqual([401, 429]);
  });
});
