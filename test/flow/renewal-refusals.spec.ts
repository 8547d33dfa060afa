import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { eventually, type Json } from '../support/http.js';
import { API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

type Row = Json & { id: string; renewsIn: number | null };

describe('when a provider refuses', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const secretFile = join(folder, 'api-secret');
  let broker: LocalBroker;

  beforeAll(async () => {
    writeFileSync(secretFile, API_SECRET);
    broker = await world.local({ FYND_API_SECRET: undefined, FYND_API_SECRET_FILE: secretFile });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await world.settle(broker);
    await world.sql('truncate connections, provider_states');
  });

  async function rows(): Promise<Row[]> {
    return world.sql<Row>(
      `select *, extract(epoch from renew_at - broker_now())::float8 as "renewsIn" from connections order by company_id`,
    );
  }

  async function row(): Promise<Row> {
    const [found] = await rows();
    if (!found) throw new Error('there is no connection');
    return found;
  }

  async function renewNow(): Promise<Json> {
    return (await world.api(broker, 'POST', `/v1/connections/${(await row()).id}/renew`)).body;
  }

  const refusing = (fault: Json): Promise<unknown> =>
    world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });
  const fetchToken = (companyId = '42'): ReturnType<typeof world.api> =>
    world.api(broker, 'GET', `/v1/tokens/fynd/companies/${companyId}`);
  const calls = async (): Promise<number> => Number((await world.simulator.ledger()).counters['renewals']);

  describe('a grant, surely', () => {
    beforeEach(async () => {
      await world.install(broker, '42');
      await refusing({ status: 400, body: { error: 'invalid_grant' } });
      await world.advance(3_000);
      await world.settle(broker);
    });

    it('it is dead, and nobody asks again', async () => {
      expect(await row()).toMatchObject({
        status: 'reauthorization_required',
        status_reason: 'invalid_grant',
        renew_at: null,
      });
      await world.advance(3_600);
      await world.settle(broker);
      await Promise.all(Array.from({ length: 10 }, () => fetchToken()));
      await renewNow();
      expect(await calls()).toBe(1);
    });

    it('its token is served until it expires, and then the seller has to come back', async () => {
      const served = await fetchToken();
      expect([served.status, served.body['stale'], served.body['version']]).toEqual([200, true, 1]);
      await world.advance(601);
      const refused = await fetchToken();
      expect([refused.status, refused.body['code']]).toEqual([409, 'reauthorization_required']);
      expect(refused.body['authorize_url']).toContain('/fp/install?company_id=42');
    });

    it('its token is not served where it was itself refused', async () => {
      const path = '/v1/tokens/fynd/companies/42';
      const reported = await world.api(broker, 'POST', `${path}/report`, { version: 1, status: 401 });
      expect([reported.status, reported.body['code']]).toEqual([409, 'reauthorization_required']);
      expect((await fetchToken()).status).toBe(409);
      expect(await calls()).toBe(1);
    });

    it('a new consent brings it back', async () => {
      await world.simulator.control('DELETE', 'faults');
      await world.install(broker, '42');
      expect(await row()).toMatchObject({ status: 'active', last_error: null, consecutive_failures: 0 });
      expect((await fetchToken()).body).toMatchObject({ stale: false });
    });
  });

  describe('a grant, perhaps', () => {
    it.each([400, 401, 403])('a bare %i is believed after 1, 5 and 30 min', async (status) => {
      await world.install(broker, '42');
      expect(await renewNow()).toMatchObject({ token_version: 2 });
      await refusing({ status, body: { message: 'no' } });
      expect(await renewNow()).toMatchObject({ status: 'suspect', last_error: 'refused_without_code' });

      let asked = 2;
      for (const wait of [60, 300, 1_800]) {
        expect(await row()).toMatchObject({ status: 'suspect', unknown_outcome: null });
        expect(Math.abs(((await row()).renewsIn ?? NaN) - wait)).toBeLessThan(3);
        expect((await fetchToken()).body).toMatchObject({ version: 2, stale: true });
        await world.advance(wait - 5);
        await world.settle(broker);
        expect(await calls()).toBe(asked);
        await world.advance(6);
        await world.settle(broker);
        expect(await calls()).toBe((asked += 1));
      }
      expect(await row()).toMatchObject({ status: 'reauthorization_required', renew_at: null });
      await world.advance(3_600);
      await world.settle(broker);
      expect(await calls()).toBe(asked);
    });

    it('a suspect that renews after all is as good as new', async () => {
      await world.install(broker, '42');
      await renewNow();
      await refusing({ status: 401, body: {}, times: 2 });
      await renewNow();
      await world.advance(61);
      await world.settle(broker);
      expect(await row()).toMatchObject({ status: 'suspect', refusals: 2 });
      await world.advance(301);
      await world.settle(broker);
      expect(await row()).toMatchObject({
        status: 'active',
        status_reason: null,
        refusals: 0,
        token_version: 3,
      });
    });

    it('a Konnect credential dies like that too, and is tried every hour ever after', async () => {
      await world.keepKonnect(broker, '42');
      await world.simulator.fault({ provider: 'konnect', status: 200, body: { status: 'FAILURE' } });
      for (const wait of [3_000, 61, 301, 1_801]) {
        await world.advance(wait);
        await world.settle(broker);
      }
      const dead = await row();
      expect(dead).toMatchObject({ status: 'reauthorization_required', last_error: 'credential_refused' });
      expect(Math.abs((dead.renewsIn ?? NaN) - 3_600)).toBeLessThan(5);
      await world.simulator.control('DELETE', 'faults');
      await world.advance(3_601);
      await world.settle(broker);
      expect(await row()).toMatchObject({ status: 'active', token_version: 2 });
    });
  });

  describe('our registration', () => {
    const companies = ['1', '2', '3', '4', '5', '6'];

    /** The file is looked at once a second. */
    async function changeSecret(secret: string): Promise<void> {
      writeFileSync(secretFile, secret);
      const { app } = broker.broker;
      await eventually(() =>
        app.get(ProviderRegistry).get('fynd').credentialsInForce().reveal().includes(`"${secret}"`),
      );
    }

    async function installAll(names: readonly string[]): Promise<void> {
      await changeSecret(API_SECRET);
      await world.simulator.settings('fynd', { error_style: 'fynd' });
      for (const companyId of names) await world.install(broker, companyId);
      await changeSecret('test-secret-wrong');
      await world.advance(3_601);
      await world.settle(broker);
    }

    it('no connection dies, the provider is probed twice a minute, and a corrected secret works at once', async () => {
      await installAll(companies);
      const atOnce = await calls();
      expect(atOnce).toBeLessThanOrEqual(companies.length);
      for (let minute = 0; minute < 4; minute += 1) {
        await world.advance(20);
        await world.settle(broker);
        await Promise.all(companies.map((companyId) => fetchToken(companyId)));
        await world.advance(20);
        await world.settle(broker);
        await world.advance(20);
        await world.settle(broker);
      }
      const probes = (await calls()) - atOnce;
      expect(probes).toBeGreaterThan(0);
      expect(probes).toBeLessThanOrEqual(9);
      for (const { status, status_reason, token_version, refusals } of await rows()) {
        expect([status, status_reason, token_version, refusals]).toEqual(['active', null, 1, 0]);
      }
      const refused = await fetchToken('1');
      expect([refused.status, refused.body['code']]).toEqual([502, 'provider_misconfigured']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);

      await changeSecret(API_SECRET);
      await eventually(async () => (await rows()).some(({ token_version }) => token_version === 2));
      await world.advance(301);
      await eventually(async () => (await rows()).every(({ token_version }) => token_version === 2));
    });

    it('a corrected secret works at once for the only connection, too', async () => {
      await installAll(['42']);
      for (let probe = 0; probe < 9; probe += 1) {
        await world.advance(301);
        await world.settle(broker);
      }
      expect(await calls()).toBeGreaterThanOrEqual(6);
      await changeSecret(API_SECRET);
      await world.settle(broker);
      expect((await fetchToken()).body).toMatchObject({ version: 2, stale: false });
    });

    it.each([
      'invalid_client',
      'unauthorized_client',
      'unsupported_grant_type',
      'invalid_request',
      'invalid_scope',
    ])('%s is never held against a grant, though the provider has renewed before', async (error) => {
      await changeSecret(API_SECRET);
      await world.install(broker, '42');
      await renewNow();
      await refusing({ status: 401, body: { error } });
      await world.advance(3_000);
      await world.settle(broker);
      expect(await row()).toMatchObject({ status: 'active', refusals: 0, token_version: 2 });
      const [state] = await world.sql<Json>(
        `select status, last_error from provider_states where provider = 'fynd'`,
      );
      expect(state).toMatchObject({ status: 'misconfigured' });
      expect((await fetchToken()).body).toMatchObject({ version: 2, stale: true });
    });
  });

  it('and the connection is deleted meanwhile, the answer is dropped and nothing is asked again', async () => {
    writeFileSync(secretFile, API_SECRET);
    await world.install(broker, '42');
    await refusing({ hold_until_released: true });
    await world.advance(3_000);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    const { id } = await row();
    expect((await world.api(broker, 'DELETE', `/v1/connections/${id}`)).status).toBe(200);
    await world.simulator.control('POST', 'release');
    await world.settle(broker);
    await world.advance(3_600);
    await world.settle(broker);
    expect(await row()).toMatchObject({
      status: 'revoked',
      token_version: 1,
      sealed_token: null,
      sealed_grant: null,
      renew_at: null,
    });
    expect(await calls()).toBe(1);
    expect((await fetchToken()).status).toBe(410);
  });
});
