import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import type { Answer, Json } from '../support/http.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let companies = 2_000;

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

/** A company that has installed the extension, and its connection. */
async function installed(): Promise<{ path: string; company: string; id: string }> {
  const company = String(++companies);
  await world.install(broker, company);
  const { body } = await world.api(broker, 'GET', `/v1/connections?company_id=${company}`);
  return { path: `fynd/companies/${company}`, company, id: String((body['items'] as Json[])[0]?.['id']) };
}

const get = (path: string): Promise<Answer> => world.api(broker, 'GET', `/v1/tokens/${path}`);
const renew = (id: string): Promise<Answer> => world.api(broker, 'POST', `/v1/connections/${id}/renew`);
const failRenewals = (company: string, fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', company_id: company, ...fault });
const deadGrant = {
  status: 400,
  body: { error: 'invalid_grant', error_description: 'test-secret-upstream' },
};

async function renewals(company: string): Promise<unknown> {
  return (await world.simulator.ledger(`?operation=renew&company_id=${company}&limit=0`)).counters['calls'];
}

/** The problem is told with whole seconds, in the body as in the header. */
function expectRetryAfter({ headers, body }: Answer, most: number): void {
  const seconds = Number(headers.get('retry-after'));
  expect(headers.get('retry-after')).toMatch(/^\d+$/);
  expect(body['retry_after']).toBe(seconds);
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(most);
}

describe('while the provider is away', () => {
  it('a token that still satisfies is served, stale and with a warning that is ours', async () => {
    const { path, company, id } = await installed();
    const fresh = (await get(path)).body;
    expect(fresh).not.toHaveProperty('warning');
    await failRenewals(company, { status: 503, body: { message: 'test-secret-upstream' } });
    await renew(id);
    const { status, body } = await get(path);
    expect(status).toBe(200);
    expect(body).toEqual({
      ...fresh,
      expires_in: expect.any(Number),
      refresh_after: expect.any(String),
      stale: true,
      warning: expect.stringContaining('server_error'),
    });
    expect(JSON.stringify(body)).not.toContain('test-secret');
  });

  it('a token that is too short is a 503 with the time of the next try, before which nobody asks again', async () => {
    const { path, company, id } = await installed();
    await failRenewals(company, { status: 503, retry_after: 120 });
    await world.advance(3_580);
    const refused = await get(path);
    expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
    expect(refused.body['connection_id']).toBe(id);
    expectRetryAfter(refused, 120);
    expect(Number(refused.body['retry_after'])).toBeGreaterThan(115);

    expectRetryAfter(await get(path), 120);
    expect((await get(`${path}?min_ttl=5`)).body).toMatchObject({ version: 1, stale: true });
    expect(await renewals(company)).toBe(1);
  });

  it('is over with the next renewal, and nothing of it stays', async () => {
    const { path, company } = await installed();
    await failRenewals(company, { status: 503, retry_after: 60, times: 1 });
    await world.advance(3_580);
    expect((await get(path)).status).toBe(503);
    await world.advance(61);
    const { body } = await get(path);
    expect(body).toMatchObject({ version: 2, stale: false });
    expect(body).not.toHaveProperty('warning');
  });

  it('an answer that makes no sense is a 502, and never replaces the token that is there', async () => {
    for (const malformed of ['text', 'html', 'no_token']) {
      const { path, company } = await installed();
      const before = (await get(path)).body['access_token'];
      await failRenewals(company, { malformed });
      await world.advance(3_580);
      const { status, body } = await get(path);
      expect([malformed, status, body['code']]).toEqual([malformed, 502, 'provider_protocol_error']);
      const stale = (await get(`${path}?min_ttl=5`)).body;
      expect([stale['access_token'], stale['version'], stale['stale']]).toEqual([before, 1, true]);
    }
  });
});

describe('a dead grant', () => {
  it('leaves the token in hand, which is served stale until it expires', async () => {
    const { path, company, id } = await installed();
    const token = (await get(path)).body['access_token'];
    await failRenewals(company, deadGrant);
    await renew(id);
    const { status, body } = await get(path);
    expect([status, body['access_token'], body['version'], body['stale']]).toEqual([200, token, 1, true]);
    expect(body['warning']).toContain('invalid_grant');
    await world.advance(3_560);
    expect((await get(path)).body).toMatchObject({ version: 1, stale: true });
    expect(await renewals(company)).toBe(1);
  });

  it('is a 409 with the way back once no token satisfies, and is never asked for again', async () => {
    const { path, company, id } = await installed();
    await failRenewals(company, deadGrant);
    await renew(id);
    await world.advance(3_601);
    for (const query of ['', '?min_ttl=0', '?scope=unheard-of']) {
      const { status, body } = await get(`${path}${query}`);
      expect(status).toBe(409);
      expect(body).toEqual({
        type: expect.any(String),
        title: expect.any(String),
        status: 409,
        code: 'reauthorization_required',
        detail: expect.not.stringContaining('test-secret'),
        request_id: expect.any(String),
        connection_id: id,
        authorize_url: `${broker.public}/fp/install?company_id=${company}&client_id=${API_KEY}&cluster_url=${encodeURIComponent(world.simulator.url)}`,
      });
    }
    expect(await renewals(company)).toBe(1);
  });

  it('refuses at once the caller whom the token in hand is too short for', async () => {
    const { path, company, id } = await installed();
    await failRenewals(company, deadGrant);
    await renew(id);
    await world.advance(3_000);
    const { status, body } = await get(`${path}?min_ttl=1000`);
    expect([status, body['code']]).toEqual([409, 'reauthorization_required']);
    expect((await get(`${path}?min_ttl=500`)).status).toBe(200);
  });

  it('comes to life when the seller connects again, as the same connection and the next version', async () => {
    const { path, company, id } = await installed();
    await failRenewals(company, { ...deadGrant, times: 1 });
    await renew(id);
    await world.advance(3_601);
    expect((await get(path)).status).toBe(409);
    await world.install(broker, company);
    const { status, body } = await get(path);
    expect(status).toBe(200);
    expect(body).toMatchObject({ version: 2, stale: false, connection_id: id });
  });
});

describe('a provider that refuses our registration', () => {
  it('is a 502 that blames no grant, asked again by one at a time, and works by itself once it is put right', async () => {
    const [one, other] = [await installed(), await installed()];
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      status: 401,
      body: { error: 'invalid_client' },
    });
    await world.advance(3_580);
    for (const { path } of [one, other]) {
      const refused = await get(path);
      expect([refused.status, refused.body['code']]).toEqual([502, 'provider_misconfigured']);
      expect((await get(`${path}?min_ttl=5`)).status).toBe(200);
    }
    // The second company was refused without a call: the first one's refusal was about both.
    expect([await renewals(one.company), await renewals(other.company)]).toEqual([1, 0]);

    await world.simulator.control('DELETE', 'faults');
    await world.advance(31);
    for (const { path } of [one, other]) expect((await get(path)).body).toMatchObject({ version: 2 });
  });
});
