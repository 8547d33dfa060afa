import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Answer, Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 23_000;

beforeAll(async () => {
  broker = await world.local();
});

const api = (method: string, path: string, body?: unknown): Promise<Answer> =>
  world.api(broker, method, `/v1${path}`, body);
const get = (company: string, query = ''): Promise<Answer> =>
  api('GET', `/tokens/portal/companies/${company}${query}`);
const report = (company: string, status: number): Promise<Answer> =>
  api('POST', `/tokens/portal/companies/${company}/report`, { version: 1, status });

/** A seller makes a token in the portal and an operator keeps it; what a caller then gets of it. */
async function made(
  request: Json = {},
): Promise<{ company: string; id: string; token: string; connection: string }> {
  const company = String(++companies);
  const ttl = request['expires_in'];
  const { id, token } = await world.simulator.makePortalToken(request);
  const { status, body } = await api('PUT', `/connections/portal/companies/${company}`, {
    token,
    token_type: request['token_type'] ?? 'service',
    scopes: request['scopes'] ?? ['orders'],
    expires_at:
      typeof ttl === 'number' ? new Date(world.clock.now().getTime() + ttl * 1_000).toISOString() : null,
  });
  expect(status).toBe(201);
  const served = (await get(company)).body;
  return { company, id, token: String(served['access_token']), connection: String(body['id']) };
}

/** A call of the portal's API with the very header that the broker says. */
async function use(company: string, ...scopes: string[]): Promise<number> {
  const { name, value } = (await get(company, '?min_ttl=0')).body['header'] as Record<
    'name' | 'value',
    string
  >;
  const query = scopes.map((scope) => `scope=${scope}`).join('&');
  return (await world.simulator.get(`/portal/v1/resource?${query}`, { [name]: value })).status;
}

describe("a caller of the portal's API", () => {
  it('is let in with the header that it is given', async () => {
    const { company } = await made();
    expect(await use(company, 'orders')).toBe(200);
  });

  it('without a token, or with a malformed one, is a 401 there, and nothing that the broker would give', async () => {
    const { company, token } = await made();
    expect((await world.simulator.portal(null, 'orders')).status).toBe(401);
    const cut = token.slice(0, -1);
    expect((await world.simulator.portal(cut, 'orders')).status).toBe(401);
    expect((await world.simulator.get('/portal/v1/resource', { authorization: token })).status).toBe(401);
    expect((await get(company)).body['header']).toEqual({ name: 'Authorization', value: `Bearer ${token}` });
    // A token that was pasted with what does not belong to it is refused before it is kept.
    for (const pasted of [`Bearer ${token}`, `${token}\n`, ` ${token}`])
      expect(
        (
          await api('PUT', `/connections/portal/companies/${company}`, {
            token: pasted,
            token_type: 'service',
          })
        ).status,
      ).toBe(400);
    expect(await use(company, 'orders')).toBe(200);
  });

  it('with one that was revoked in the portal is a 401, which it reports: an operator is alarmed', async () => {
    const { company, id, connection } = await made();
    await world.simulator.revokePortalToken(id);
    expect(await use(company, 'orders')).toBe(401);
    expect((await report(company, 401)).body).toMatchObject({ version: 1, warning: expect.any(String) });
    expect((await api('GET', `/connections/${connection}`)).body['status']).toBe('suspect');
    // A seller makes a new one.
    const fresh = await world.simulator.makePortalToken();
    await api('PUT', `/connections/portal/companies/${company}`, {
      token: fresh.token,
      token_type: 'service',
    });
    expect(await use(company, 'orders')).toBe(200);
    expect((await get(company)).body).not.toHaveProperty('warning');
  });

  it('past the expiry of a token is a 401 there, and gets a 409 here at the same time', async () => {
    const { company, token } = await made({ expires_in: 60 });
    expect(await use(company, 'orders')).toBe(200);
    await world.advance(61);
    expect((await world.simulator.portal(token, 'orders')).status).toBe(401);
    expect((await get(company, '?min_ttl=0')).body['code']).toBe('reauthorization_required');
    expect((await report(company, 401)).body['code']).toBe('reauthorization_required');
  });

  it('that lacks a scope is a 403, which no renewal cures, and could have asked for it before', async () => {
    const { company, connection } = await made({ scopes: ['orders'] });
    expect(await use(company, 'products')).toBe(403);
    const reported = await report(company, 403);
    expect([reported.status, reported.body['code']]).toEqual([422, 'not_renewable']);
    expect((await api('GET', `/connections/${connection}`)).body['status']).toBe('active');
    expect((await get(company, '?scope=products')).body).toMatchObject({
      code: 'scope_missing',
      missing_scopes: ['products'],
    });
  });

  it('that calls too fast is a 429 there, which says nothing of the token: it backs off and uses the same', async () => {
    const { company, connection } = await made();
    await world.simulator.settings('portal', { rate_limit: { per_second: 0.5, burst: 1 } });
    expect([await use(company), await use(company)]).toEqual([200, 429]);
    expect((await report(company, 429)).status).toBe(400);
    expect((await api('GET', `/connections/${connection}`)).body['status']).toBe('active');
    await world.advance(2);
    expect(await use(company)).toBe(200);
  });

  it('with a personal token may do what its person may, whatever its scopes say', async () => {
    const { company } = await made({ token_type: 'personal', scopes: [] });
    expect(await use(company, 'orders', 'products')).toBe(200);
  });

  it('goes on with the old token while another takes its place, since the portal keeps both', async () => {
    const { company, token } = await made();
    const { token: fresh } = await world.simulator.makePortalToken();
    await api('PUT', `/connections/portal/companies/${company}`, { token: fresh, token_type: 'service' });
    expect((await world.simulator.portal(token, 'orders')).status).toBe(200);
    expect((await get(company)).body).toMatchObject({ access_token: fresh, version: 2 });
    expect(await use(company, 'orders')).toBe(200);
  });

  it('causes no call of the broker to the portal, whatever it does', async () => {
    const { company, connection } = await made();
    await report(company, 401);
    await api('POST', `/connections/${connection}/renew`);
    await api('DELETE', `/connections/${connection}`);
    expect((await world.simulator.ledger('?provider=portal&limit=0')).counters['calls']).toBe(0);
  });
});
