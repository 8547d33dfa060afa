import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { fdk, fdkApi, type FdkConfig } from '../support/fdk-client.js';
import type { Json } from '../support/http.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const SCOPES = ['company/products', 'company/orders'];
const world = useWorld();
let broker: LocalBroker;

beforeAll(async () => {
  broker = await world.local();
});
beforeEach(async () => {
  await world.sql('truncate connections, provider_states');
});

const client = (companyId = '42', secret = API_SECRET): FdkConfig =>
  fdk(world.simulator.url, companyId, [API_KEY, secret]);

/** What the library's redirect brings back. */
async function consent({ oauthClient }: FdkConfig, access_mode: string): Promise<Json> {
  const redirectUri = `${broker.public}/fp/auth`;
  const url = oauthClient.startAuthorization({ scope: SCOPES, redirectUri, state: 's-1', access_mode });
  const { headers } = await new Browser().visit(url);
  return Object.fromEntries(new URL(headers.get('location') ?? '').searchParams);
}

/** Why the library says that a call failed. */
const refusalOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: unknown) => Number((error as { code: unknown }).code),
  );

describe("the simulator, to Fynd's own client library", () => {
  it('gives consent, an offline token and its renewal, and an API that takes both', async () => {
    const config = client();
    const { oauthClient } = config;
    const query = await consent(config, 'offline');
    expect(query).toMatchObject({ state: 's-1', client_id: API_KEY, company_id: '42' });

    const first = await oauthClient.getOfflineAccessToken(SCOPES, String(query['code']));
    expect(first).toMatchObject({ scope: SCOPES, expires_in: 3_600 });
    expect([oauthClient.token, oauthClient.refreshToken]).toEqual([
      first['access_token'],
      first['refresh_token'],
    ]);
    expect(await fdkApi(config).configuration.getApplications()).toMatchObject({ kind: 'offline' });

    const second = await oauthClient.renewAccessToken(true);
    expect(second['access_token']).not.toBe(first['access_token']);
    expect(oauthClient.token).toBe(second['access_token']);
    expect(await fdkApi(config).configuration.getApplications()).toMatchObject({ company_id: '42' });
    const { entries } = await world.simulator.ledger();
    expect(entries.map(({ operation, dialect, outcome }) => [operation, dialect, outcome])).toEqual([
      ['exchange', null, 'ok'],
      ['renew', 'library', 'ok'],
    ]);
  });

  it('redeems the same code for a user, too, as the library does', async () => {
    const config = client();
    const query = await consent(config, 'online');
    await client().oauthClient.getOfflineAccessToken(SCOPES, String(query['code']));
    await config.oauthClient.verifyCallback(query);
    expect([config.oauthClient.token_expires_in, config.oauthClient.refreshToken]).toEqual([7_200, null]);
    expect(await fdkApi(config).configuration.getApplications()).toMatchObject({ kind: 'online' });
  });

  it('refuses as Fynd does: 401 a token that is over, 403 another company, and a code that was used', async () => {
    const [config, other] = [client(), client('43')];
    const query = await consent(config, 'offline');
    await config.oauthClient.getOfflineAccessToken(SCOPES, String(query['code']));
    other.oauthClient.setToken({ access_token: config.oauthClient.token, expires_in: 3_600 });
    expect(await refusalOf(fdkApi(other).configuration.getApplications())).toBe(403);
    expect(await refusalOf(client().oauthClient.getOfflineAccessToken(SCOPES, String(query['code'])))).toBe(
      400,
    );
    const impostor = client('42', 'test-secret-of-nobody').oauthClient;
    expect(await refusalOf(impostor.getOfflineAccessToken(SCOPES, 'test-secret-code'))).toBe(401);
    await world.simulator.uninstall('42');
    expect(await refusalOf(fdkApi(config).configuration.getApplications())).toBe(401);
    expect(await refusalOf(config.oauthClient.renewAccessToken(true))).toBe(400);
  });

  it('takes a token that the broker keeps, in a client that has no secret of its own', async () => {
    await world.install(broker, '42');
    const { body } = await world.api(broker, 'GET', '/v1/tokens/fynd/companies/42');
    const config = fdk(String(body['base_url']), '42', ['', '']);
    config.oauthClient.setToken({ access_token: body['access_token'], expires_in: body['expires_in'] });
    expect(await fdkApi(config).configuration.getApplications()).toMatchObject({
      company_id: '42',
      scope: SCOPES,
    });
  });

  it('has the grants that the library made renewed by the broker', async () => {
    const { oauthClient } = client('44');
    const query = await consent(client('44'), 'offline');
    await oauthClient.getOfflineAccessToken(SCOPES, String(query['code']));
    const kept = { access_token: oauthClient.token, refresh_token: oauthClient.refreshToken, expires_in: 60 };
    const path = '/v1/connections/fynd/companies/44';
    const imported = await world.api(broker, 'PUT', path, { ...kept, scopes: SCOPES });
    expect([imported.status, imported.body['token_version']]).toEqual([201, 1]);
    const { body } = await world.api(broker, 'GET', '/v1/tokens/fynd/companies/44?min_ttl=600');
    expect(body).toMatchObject({ version: 2, stale: false });
    expect(await world.simulator.resource(body['access_token'])).toBe(200);
  });
});
