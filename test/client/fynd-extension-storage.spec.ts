import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { UninstallService } from '../../src/oauth/uninstall.service.js';
import { FyndExtensionStorage, TokenBroker, type ExtensionStorage } from '../../client/src/index.js';
import { Browser } from '../support/browser.js';
import { FyndExtension, MemoryStorage } from '../support/fynd-extension.js';
import { type Answer, ask, eventually, freePort, type Json } from '../support/http.js';
import { ADMIN_KEY, API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let inner: ExtensionStorage;
let storage: FyndExtensionStorage;
let extension: FyndExtension;
let isBrokerAway = false;

beforeAll(async () => {
  broker = await world.local();
  world.stopTicking(broker);
  const tokens = new TokenBroker({
    url: broker.api,
    key: ADMIN_KEY,
    deadlineMs: 3_000,
    now: () => world.clock.monotonic(),
    fetch: (url, init) => (isBrokerAway ? Promise.reject(new Error('away')) : fetch(url, init)),
  });
  inner = new MemoryStorage('extension');
  storage = new FyndExtensionStorage(inner, tokens, { publicUrl: broker.public });
  extension = await FyndExtension.start({
    port: await freePort(),
    cluster: world.simulator.url,
    key: [API_KEY, API_SECRET],
    storage,
  });
});
afterAll(() => extension?.stop());

/** A seller installs the extension through its own routes, which are the library's. */
function install(company: string): Promise<Answer & { url: string }> {
  const hosts = [extension.url, world.simulator.url].map((it) => new URL(it).host);
  const url = `${extension.url}/fp/install?company_id=${company}&client_id=${API_KEY}`;
  return new Browser().follow(url, hosts);
}

/** Where the library keeps a company's offline session. */
function keyOf(company: string): string {
  return createHash('sha256').update(`${world.simulator.url}:${company}`).digest('hex');
}

async function connectionOf(company: string): Promise<Json | undefined> {
  const { body } = await world.api(broker, 'GET', `/v1/connections?provider=fynd&company_id=${company}`);
  return (body['items'] as Json[])[0];
}

const renewals = async (): Promise<number> =>
  Number((await world.simulator.ledger('?provider=fynd')).counters['renewals']);

describe("Fynd's extension library over the broker", () => {
  it('installs by its own routes, and leaves the grant to the broker and no token in its storage', async () => {
    const landed = await install('1');
    expect(landed.url).toContain('/welcome');
    expect(await connectionOf('1')).toMatchObject({ status: 'active', token_version: 1 });
    const kept = JSON.stringify(await inner.get(keyOf('1')));
    expect(kept).toContain('"access_mode":"offline"');
    expect(kept).not.toContain('simulated-secret');
  });

  it('calls the API with what the broker has, and never renews by itself', async () => {
    await install('2');
    expect(await (await extension.api('2')).configuration.getApplications()).toBeDefined();
    for (let version = 2; version <= 3; version += 1) {
      await world.advance(3_500);
      expect(await (await extension.api('2')).configuration.getApplications()).toBeDefined();
      expect(await connectionOf('2')).toMatchObject({ token_version: version });
      expect(await renewals()).toBe(version - 1);
    }
  });

  it('is installed again where the grant has died, under the same connection', async () => {
    await install('3');
    const before = await connectionOf('3');
    await world.simulator.uninstall('3');
    await world.api(broker, 'POST', `/v1/connections/${String(before?.['id'])}/renew`);
    expect((await connectionOf('3'))?.['status']).toBe('reauthorization_required');
    await world.advance(3_601);
    expect(await storage.get(keyOf('3'))).toBeNull();
    await install('3');
    expect(await connectionOf('3')).toMatchObject({ id: before?.['id'], status: 'active' });
    expect(await (await extension.api('3')).configuration.getApplications()).toBeDefined();
  });

  it('has an uninstall proven by the broker, which a stranger can claim as well', async () => {
    await install('4');
    await ask('POST', `${extension.url}/fp/uninstall`, {}, { company_id: 4 });
    expect(await storage.get(keyOf('4'))).toBeNull();
    expect((await connectionOf('4'))?.['status']).toBe('active');
    await install('5');
    await world.simulator.uninstall('5');
    await ask('POST', `${extension.url}/fp/uninstall`, {}, { company_id: 5 });
    await eventually(async () => {
      // While the proof before is still being made the next is left to the interval, which does not tick here.
      await broker.broker.app.get(UninstallService).look();
      return (await connectionOf('5'))?.['status'] === 'revoked';
    });
  });

  it('loses nothing where the broker is away: the install fails, and works when it is back', async () => {
    isBrokerAway = true;
    const failed = await install('6').finally(() => (isBrokerAway = false));
    expect([failed.status, await inner.get(keyOf('6'))]).toEqual([500, null]);
    expect((await install('6')).url).toContain('/welcome');
    expect(await connectionOf('6')).toMatchObject({ status: 'active' });
  });

  it('goes on with a session from before for as long as the broker has none of that company', async () => {
    const [access, refresh] = ['test-secret-former-access', 'test-secret-former-refresh'];
    const session = { company_id: 7, access_mode: 'offline', access_token: access, refresh_token: refresh };
    await inner.set(keyOf('7'), session);
    expect(await storage.get(keyOf('7'))).toEqual(session);
    await world.api(broker, 'PUT', '/v1/connections/fynd/companies/7', {
      access_token: access,
      expires_in: 3_600,
      refresh_token: refresh,
    });
    expect(await storage.get(keyOf('7'))).toMatchObject({ access_token: access, refresh_token: null });
  });

  it('knows a session from before that the library has renewed, and so has lost its mode', async () => {
    const former = {
      access_token: 'test-secret-renewed-access',
      refresh_token: 'test-secret-renewed-refresh',
    };
    await inner.set(keyOf('9'), { company_id: 9, ...former });
    await storage.set(keyOf('9'), { company_id: 9, ...former, expires_in: 3_600 });
    expect(await connectionOf('9')).toMatchObject({ status: 'active', token_version: 1 });
    expect(JSON.stringify(await inner.get(keyOf('9')))).not.toContain('test-secret');
    expect(await storage.get(keyOf('9'))).toMatchObject({
      access_mode: 'offline',
      access_token: former.access_token,
      refresh_token: null,
    });
  });

  it("keeps users' sessions where they were", async () => {
    const online = { company_id: 8, access_mode: 'online', access_token: 'of-a-user', refresh_token: null };
    await storage.setex('some-uuid', online, 60);
    expect(await storage.get('some-uuid')).toEqual(online);
    expect(await connectionOf('8')).toBeUndefined();
    await storage.del('some-uuid');
    expect(await storage.get('some-uuid')).toBeNull();
  });
});
