import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import type { Answer, Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 1_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

const nextCompany = (): string => String(++companies);
const get = (path: string): Promise<Answer> => world.api(broker, 'GET', `/v1/tokens/${path}`);

/** A company that has installed the extension, and its connection. */
async function installed(): Promise<{ path: string; company: string; id: string }> {
  const company = nextCompany();
  await world.install(broker, company);
  const { body } = await world.api(broker, 'GET', `/v1/connections?company_id=${company}`);
  return { path: `fynd/companies/${company}`, company, id: String((body['items'] as Json[])[0]?.['id']) };
}

const renew = (id: string): Promise<Answer> => world.api(broker, 'POST', `/v1/connections/${id}/renew`);

/** How often the provider was asked to renew, or, for Konnect, for a token. */
async function asked(filter: string): Promise<unknown> {
  return (await world.simulator.ledger(`?${filter}&limit=0`)).counters['calls'];
}
const renewals = (company: string): Promise<unknown> => asked(`operation=renew&company_id=${company}`);

describe('the answer', () => {
  it('is, for a company, the token with where and how to send it, and when to ask again', async () => {
    const { path, company, id } = await installed();
    const { status, headers, body } = await get(path);
    const connection = (await world.api(broker, 'GET', `/v1/connections/${id}`)).body;
    const token = String(body['access_token']);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(body).toEqual({
      access_token: token,
      token_type: 'Bearer',
      header: { name: 'Authorization', value: `Bearer ${token}` },
      base_url: world.simulator.url,
      expires_at: connection['expires_at'],
      expires_in: expect.any(Number),
      refresh_after: connection['renew_at'],
      scopes: ['company/products', 'company/orders'],
      version: 1,
      stale: false,
      provider: 'fynd',
      company_id: company,
      location_id: null,
      level: 'company',
      connection_id: id,
    });
    expect(body['expires_in']).toBeGreaterThan(3_590);
    expect(body['expires_in']).toBeLessThanOrEqual(3_600);
    expect(await world.simulator.resource(token)).toBe(200);
  });

  it("is, for a location, that location's own", async () => {
    const company = nextCompany();
    const kept = await world.keepKonnect(broker, `${company}/locations/L1`);
    const { body } = await get(`konnect/companies/${company}/locations/L1`);
    const token = String(body['access_token']);
    expect(body).toEqual({
      access_token: token,
      token_type: 'Bearer',
      header: { name: 'x-access-token', value: token },
      base_url: world.simulator.url,
      expires_at: kept.body['expires_at'],
      expires_in: expect.any(Number),
      refresh_after: kept.body['renew_at'],
      scopes: [],
      version: 1,
      stale: false,
      provider: 'konnect',
      company_id: company,
      location_id: 'L1',
      level: 'location',
      connection_id: kept.body['id'],
    });
  });

  it('knows no expiry of a token that never expires, and says to ask again in five minutes', async () => {
    await world.simulator.settings('fynd', { expiry: 'huge' });
    const { path, company } = await installed();
    const { body } = await get(`${path}?min_ttl=3600`);
    expect(body).toMatchObject({ expires_at: null, expires_in: null, version: 1, stale: false });
    const askAgainIn = Date.parse(String(body['refresh_after'])) - world.clock.now().getTime();
    expect(Math.abs(askAgainIn - 300_000)).toBeLessThan(2_000);
    expect(await renewals(company)).toBe(0);
  });

  it('counts the version on by exactly one with every new token, and not when the same one comes again', async () => {
    const { path, company, id } = await installed();
    const seen = new Set([(await get(path)).body['access_token']]);
    for (const version of [2, 3, 4]) {
      await renew(id);
      const { body } = await get(path);
      expect(body['version']).toBe(version);
      seen.add(body['access_token']);
    }
    expect(seen.size).toBe(4);
    // Consent given again brings the token that is there.
    await world.install(broker, company);
    await world.install(broker, company);
    const { body } = await get(path);
    expect([seen.has(body['access_token']), body['connection_id']]).toEqual([true, id]);
    expect(body['version']).toBe(4);
  });
});

describe('min_ttl', () => {
  it('is 30 seconds where nobody says otherwise', async () => {
    const { path, company } = await installed();
    await world.advance(3_562);
    expect((await get(path)).body).toMatchObject({ version: 1, stale: false });
    expect(await renewals(company)).toBe(0);
    await world.advance(10);
    expect((await get(path)).body).toMatchObject({ version: 2, stale: false });
    expect(await renewals(company)).toBe(1);
  });

  it('of 0 takes whatever still lives, and nothing that does not', async () => {
    const { path, company } = await installed();
    await world.advance(3_590);
    expect((await get(`${path}?min_ttl=0`)).body['version']).toBe(1);
    await world.advance(10);
    expect((await get(`${path}?min_ttl=0`)).body['version']).toBe(2);
    expect(await renewals(company)).toBe(1);
  });

  it('renews a token that is too short for the caller, though not for others', async () => {
    const { path, company } = await installed();
    await world.advance(1_800);
    expect((await get(`${path}?min_ttl=1700`)).body['version']).toBe(1);
    const { body } = await get(`${path}?min_ttl=1900`);
    expect(body['version']).toBe(2);
    expect(body['expires_in']).toBeGreaterThan(3_590);
    expect(await renewals(company)).toBe(1);
  });

  it('above 90 % of the lifetime that a renewal brought is refused without asking anybody', async () => {
    const { path, company } = await installed();
    const first = await get(`${path}?min_ttl=3600`);
    expect([first.status, first.body['code']]).toEqual([409, 'ttl_unsatisfiable']);
    expect(await renewals(company)).toBe(1);
    for (const minTtl of [3_600, 3_241]) {
      const { status, body } = await get(`${path}?min_ttl=${minTtl}`);
      expect([status, body['code'], body['max_ttl']]).toEqual([409, 'ttl_unsatisfiable', 3_240]);
    }
    expect((await get(`${path}?min_ttl=3240`)).status).toBe(200);
    expect(await renewals(company)).toBe(1);
  });

  it('leads to one renewal, and is then answered with what came', async () => {
    const { path, company, id } = await installed();
    await renew(id);
    await world.simulator.settings('fynd', { token_ttl: 100 });
    await world.advance(3_500);
    const { status, body } = await get(`${path}?min_ttl=200`);
    expect([status, body['code'], body['max_ttl']]).toEqual([409, 'ttl_unsatisfiable', 90]);
    expect(await renewals(company)).toBe(2);
    expect((await get(`${path}?min_ttl=80`)).body['version']).toBe(3);
    expect(await renewals(company)).toBe(2);
  });

  it('is whole seconds from 0 to 3600, once', async () => {
    const { path } = await installed();
    for (const value of [
      '-1',
      '1.5',
      '3601',
      '99999',
      'abc',
      '',
      '%205',
      '1e3',
      '%2B5',
      '0x10',
      '5&min_ttl=6',
    ]) {
      const { status, body } = await get(`${path}?min_ttl=${value}`);
      expect([value, status, body['code']]).toEqual([value, 400, 'invalid_request']);
      expect(body['errors']).toEqual([{ field: 'min_ttl', message: expect.any(String) }]);
    }
  });
});

describe('scope', () => {
  it('is what the token must hold: a token with all of them is served, whatever else it holds', async () => {
    const { path } = await installed();
    for (const scope of ['company/products', 'company/orders,company/products']) {
      expect((await get(`${path}?scope=${scope}`)).body).toMatchObject({ version: 1 });
    }
  });

  it('that the token lacks is told, with where to grant it, and nobody is asked', async () => {
    await world.simulator.settings('fynd', { granted_scopes: ['company/products'] });
    const { path, company, id } = await installed();
    const { status, body } = await get(`${path}?scope=company/products,company/orders,company/users`);
    expect([status, body['code']]).toEqual([409, 'scope_missing']);
    expect(body['missing_scopes']).toEqual(['company/orders', 'company/users']);
    expect(body['connection_id']).toBe(id);
    expect(String(body['authorize_url'])).toContain('/oauth/fynd/authorize?link=');
    expect(await renewals(company)).toBe(0);
  });

  it('is a list without gaps, once', async () => {
    const { path } = await installed();
    for (const query of ['', 'a,', ',a', 'a%20b', 'a%0Ab', `a&scope=b`]) {
      const { status, body } = await get(`${path}?scope=${query}`);
      expect([query, status, body['code']]).toEqual([query, 400, 'invalid_request']);
    }
  });
});

describe('what there is no token of', () => {
  it('is told apart: no such provider, no such connection, a revoked one', async () => {
    const { path, id } = await installed();
    const unknown = await get('nothing/companies/42');
    expect([unknown.status, unknown.body['code']]).toEqual([404, 'provider_not_found']);
    const none = await get(`fynd/companies/${nextCompany()}`);
    expect([none.status, none.body['code']]).toEqual([404, 'connection_not_found']);
    await world.api(broker, 'DELETE', `/v1/connections/${id}`);
    const revoked = await get(path);
    expect([revoked.status, revoked.body['code']]).toEqual([410, 'connection_revoked']);
    expect(revoked.body).not.toHaveProperty('access_token');
  });
});
