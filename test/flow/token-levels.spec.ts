import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import type { Answer } from '../support/http.js';
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
const get = (path: string): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/konnect/companies/${path}`);
const renew = (id: unknown): Promise<Answer> =>
  world.api(broker, 'POST', `/v1/connections/${String(id)}/renew`);

describe('the level of a token', () => {
  it("is the location's own unless the caller says otherwise: the company's token is never put in its place", async () => {
    const company = nextCompany();
    await world.keepKonnect(broker, company);
    for (const query of ['', '?level=location']) {
      const { status, body } = await get(`${company}/locations/L1${query}`);
      expect([status, body['code']]).toEqual([404, 'connection_not_found']);
    }
  });

  it('location_then_company falls back where the location has no connection of its own', async () => {
    const company = nextCompany();
    await world.keepKonnect(broker, company);
    const path = company;
    const fallback = await get(`${path}/locations/L1?level=location_then_company`);
    expect(fallback.body).toMatchObject({ level: 'company', location_id: null, company_id: company });
    expect(fallback.body['access_token']).toBe((await get(path)).body['access_token']);

    await world.keepKonnect(broker, `${company}/locations/L1`);
    const own = await get(`${path}/locations/L1?level=location_then_company`);
    expect(own.body).toMatchObject({ level: 'location', location_id: 'L1' });
    expect(own.body['access_token']).not.toBe(fallback.body['access_token']);
    expect((await get(`${nextCompany()}/locations/L1?level=location_then_company`)).status).toBe(404);
  });

  it('location_then_company lets a revoked location answer for itself', async () => {
    const company = nextCompany();
    await world.keepKonnect(broker, company);
    const { body: own } = await world.keepKonnect(broker, `${company}/locations/L1`);
    await world.api(broker, 'DELETE', `/v1/connections/${String(own['id'])}`);
    const { status, body } = await get(`${company}/locations/L1?level=location_then_company`);
    expect([status, body['code']]).toEqual([410, 'connection_revoked']);
  });

  it('location_then_company lets a dead location answer for itself', async () => {
    const company = nextCompany();
    await world.keepKonnect(broker, company);
    const { body: own } = await world.keepKonnect(broker, `${company}/locations/L1`, `dead-${company}`);
    const path = `${company}/locations/L1?level=location_then_company`;
    const fault = {
      provider: 'konnect',
      username: `dead-${company}`,
      status: 200,
      body: { status: 'FAILURE' },
    };
    await world.simulator.fault(fault);
    for (let refusal = 1; refusal <= 4; refusal++) await renew(own['id']);
    expect((await get(path)).body).toMatchObject({ level: 'location', location_id: 'L1', stale: true });
    await world.advance(3_600);
    const { status, body } = await get(path);
    expect([status, body['code'], body['connection_id']]).toEqual([
      409,
      'reauthorization_required',
      own['id'],
    ]);
    expect(body).not.toHaveProperty('authorize_url');
  });

  it('is nothing that a company has, and nothing but these two', async () => {
    const path = nextCompany();
    const bad = ['?level=location', '/locations/L1?level=company', '/locations/L1?level='];
    for (const query of [...bad, '/locations/L1?level=location&level=location_then_company']) {
      const { status, body } = await get(`${path}${query}`);
      expect([query, status, body['code']]).toEqual([query, 400, 'invalid_request']);
    }
  });
});
