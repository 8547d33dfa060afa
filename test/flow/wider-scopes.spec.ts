import { beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import type { Answer, Json } from '../support/http.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

describe.each([
  ['crm', 'oauth2', ['read', 'write'], ' '],
  ['fynd', 'fynd', ['company/products', 'company/orders'], ','],
] as const)('the scopes of %s', (provider, simulated, [first, second], separator) => {
  const world = useWorld();
  const seller = useConsents(world);
  const writeProviders = useProvidersFiles();
  let broker: LocalBroker;

  beforeAll(async () => {
    const crm = {
      kind: 'oauth2',
      issuer: world.simulator.url,
      client_id: API_KEY,
      client_secret: '${CONNECT_CLIENT_SECRET}',
      scopes: ['read', 'write'],
    };
    const fynd = {
      kind: 'fynd-platform',
      base_url: world.simulator.url,
      api_key: API_KEY,
      api_secret: '${FYND_API_SECRET}',
      scopes: '${FYND_SCOPES}',
    };
    broker = await world.local({ PROVIDERS_FILE: writeProviders(provider === 'crm' ? { crm } : { fynd }) });
  });

  const grantOnly = (granted_scopes: readonly string[] | null): Promise<unknown> =>
    world.simulator.settings(simulated, { granted_scopes });
  const connection = async (): Promise<Json> => (await seller.connection(broker, provider)) ?? {};

  /** A seller opens the address that a caller was told. */
  async function follow({ body }: Answer): Promise<void> {
    const hosts = [new URL(broker.public).host, new URL(world.simulator.url).host];
    expect((await new Browser().follow(String(body['authorize_url']), hosts)).status).toBe(200);
  }

  it('are those that were granted, and what is missing is shown and refused', async () => {
    await grantOnly([first]);
    await seller.connect(broker, provider);
    expect(await connection()).toMatchObject({ scopes: [first], missing_scopes: [second] });
    expect((await seller.token(broker, provider, `?scope=${first}`)).status).toBe(200);
    const refused = await seller.token(broker, provider, `?scope=${first},${second}`);
    expect(refused.body).toMatchObject({
      status: 409,
      code: 'scope_missing',
      missing_scopes: [second],
      connection_id: (await connection())['id'],
      authorize_url: expect.stringContaining(broker.public),
    });
  });

  it('are widened on the authorize_url of the refusal: the same connection, the next version', async () => {
    await grantOnly([first]);
    await seller.connect(broker, provider);
    const { id } = await connection();
    const refused = await seller.token(broker, provider, `?scope=${second}`);
    await grantOnly(null);
    await follow(refused);
    expect(await connection()).toMatchObject({
      id,
      scopes: [first, second],
      missing_scopes: [],
      status: 'active',
    });
    for (const scope of [first, second, `${first},${second}`]) {
      expect((await seller.token(broker, provider, `?scope=${scope}`)).body).toMatchObject({
        version: 2,
        connection_id: id,
      });
    }
  });

  it('may become more than the configured ones', async () => {
    await seller.connect(broker, provider);
    const refused = await seller.token(broker, provider, '?scope=more');
    expect(refused.body).toMatchObject({ status: 409, missing_scopes: ['more'] });
    const asked = await seller.open(String(refused.body['authorize_url']), new Browser());
    expect(asked.searchParams.get('scope')).toBe([first, second, 'more'].join(separator));
    await follow(await seller.token(broker, provider, '?scope=more'));
    expect((await seller.token(broker, provider, '?scope=more')).body).toMatchObject({
      version: 2,
      scopes: [first, second, 'more'],
    });
  });

  it('are not taken away again by the next who asks for others', async () => {
    await seller.connect(broker, provider);
    for (const scope of ['more', 'others'])
      await follow(await seller.token(broker, provider, `?scope=${scope}`));
    expect((await seller.token(broker, provider, '?scope=more,others')).status).toBe(200);
  });

  it('become fewer by a consent to fewer, and that is shown', async () => {
    await seller.connect(broker, provider);
    const { id } = await connection();
    await grantOnly([second]);
    if (provider === 'fynd') await world.simulator.uninstall('42');
    await seller.connect(broker, provider);
    expect(await connection()).toMatchObject({
      id,
      scopes: [second],
      missing_scopes: [first],
      token_version: 2,
    });
  });

  it('stay as they are through renewals', async () => {
    await grantOnly([first]);
    await seller.connect(broker, provider);
    await seller.renew(broker, provider);
    expect(await connection()).toMatchObject({ scopes: [first], missing_scopes: [second], token_version: 2 });
  });

  it('that are too many for a link are refused without one', async () => {
    await seller.connect(broker, provider);
    const { body } = await seller.token(broker, provider, `?scope=${'a'.repeat(1_001)}`);
    expect(body['code']).toBe('scope_missing');
    expect(body).not.toHaveProperty('authorize_url');
  });
});
