import { beforeAll, describe, expect, it } from '@jest/globals';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import type { Answer, Json } from '../support/http.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

/** What nobody consented to: a client with rights of its own, and grants that two connections would share. */
describe('a client with rights of its own', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const file = useProvidersFiles();
  let broker: LocalBroker;

  beforeAll(async () => {
    const standard = {
      kind: 'oauth2',
      issuer: world.simulator.url,
      client_id: API_KEY,
      client_secret: API_SECRET,
    };
    const providers = {
      robot: { ...standard, grant: 'client_credentials', scopes: ['read', 'write'] },
      crm: { ...standard, base_url: `${world.simulator.url}/crm`, scopes: ['read'] },
    };
    broker = await world.local({ PROVIDERS_FILE: file(providers) });
  });

  const keep = (path: string, body: Json = {}): Promise<Answer> =>
    world.api(broker, 'PUT', `/v1/connections/${path}`, body);
  const bare401 = (): Promise<unknown> =>
    world.simulator.fault({ provider: 'oauth2', operation: 'client_credentials', status: 401, body: {} });

  it('may do what was asked for, where the server does not say otherwise', async () => {
    const body = { access_token: 'simulated-secret-without-scope', token_type: 'Bearer', expires_in: 3_600 };
    await world.simulator.fault({
      provider: 'oauth2',
      operation: 'client_credentials',
      times: 1,
      status: 200,
      body,
    });
    const { body: kept } = await keep('robot/companies/42');
    expect(kept).toMatchObject({ scopes: ['read', 'write'], missing_scopes: [] });
    expect((await seller.token(broker, 'robot', '?scope=read')).status).toBe(200);
  });

  it('has no levels: a location cannot be given what is the client’s', async () => {
    const { status, body } = await keep('robot/companies/42/locations/7');
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
    expect(await world.sql('select 1 from connections')).toEqual([]);
  });

  it('that is refused without a word is misconfigured, never a dead grant, nor a refused credential', async () => {
    await keep('robot/companies/42');
    await bare401();
    for (const { status, body } of [await keep('robot/companies/43'), await keep('robot/companies/44')]) {
      expect([status, body['code']]).toEqual([502, 'provider_misconfigured']);
    }
    for (let time = 0; time < 5; time += 1) {
      await world.advance(1_900);
      await world.settle(broker);
    }
    expect(await seller.connection(broker, 'robot')).toMatchObject({
      status: 'active',
      last_error: 'client_refused',
    });
    await world.simulator.control('DELETE', 'faults');
    await world.advance(31);
    expect(await seller.recover(broker, 'robot')).toMatchObject({ status: 'active', token_version: 2 });
    expect(await world.sql('select 1 from credential_proofs where refused')).toEqual([]);
  });

  it('shares no imported grant with anybody: renewing one would end the other', async () => {
    const grant = { refresh_token: 'test-secret-shared' };
    expect((await keep('crm/companies/42', { ...grant, paused: true })).status).toBe(201);
    for (const path of ['crm/companies/42/locations/7', 'crm/companies/43']) {
      const { status, body } = await keep(path, { ...grant, paused: true });
      expect([path, status, body['code']]).toEqual([path, 422, 'credential_rejected']);
    }
    // Several rounds: two of them have to be in the database at the same moment.
    for (let round = 0; round < 8; round += 1) {
      const atOnce = await Promise.all(
        ['51', '52', '53', '54', '55', '56'].map((company) =>
          keep(`crm/companies/${company}`, { refresh_token: `test-secret-raced-${round}`, paused: true }),
        ),
      );
      expect(atOnce.filter(({ status }) => status < 300)).toHaveLength(1);
    }
    await world.sql(`delete from connections where company_id <> '42'`);
    expect((await keep('crm/companies/42', { ...grant, paused: true })).status).toBe(200);
    expect(await world.sql('select 1 from connections')).toHaveLength(1);
    expect((await seller.connection(broker, 'crm'))?.['rotate_by']).toBeNull();
  });
});
