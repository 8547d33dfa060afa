import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type RunningSimulator, startSimulator } from '../../simulator/simulator.js';
import { Browser } from '../support/browser.js';
import { ask, freePort, type Answer, type Json } from '../support/http.js';
import { Relay } from '../support/relay.js';
import { SimulatorCaller } from '../support/simulator-caller.js';
import { hint, proveAll, signature, signedHint } from '../support/uninstalls.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const TAX_KEY = 'extension-2';
const TAX_SECRET = 'test-secret-of-the-other-extension';

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
const running: RunningSimulator[] = [];
const tax = new SimulatorCaller(() => running[0]?.url ?? '');
const eu = new SimulatorCaller(() => running[1]?.url ?? '');
/** One cluster on which two extensions are registered: a simulator stands for each. */
const cluster = new Relay(async (call, authorization) => {
  const [, basic] = /^Basic (.*)$/.exec(authorization) ?? [];
  const [, bearer] = /^Bearer (.*)$/.exec(authorization) ?? [];
  const key = basic === undefined ? call : Buffer.from(basic, 'base64').toString();
  const isOfTax = bearer === undefined ? key.includes(TAX_KEY) : 'provider' in (await tax.introspect(bearer));
  return isOfTax ? tax.url : world.simulator.url;
});
let broker: LocalBroker;
let port: number;

const yaml = (): string => `
providers:
  shop: { kind: fynd-platform, base_url: '${cluster.url}', api_key: ${API_KEY}, api_secret: ${API_SECRET}, auto_install: true,
          scopes: [company/products], ui_url: 'https://shop.example', public_url: 'http://127.0.0.1:${port}' }
  tax: { kind: fynd-platform, base_url: '${cluster.url}', api_key: ${TAX_KEY}, api_secret: ${TAX_SECRET}, auto_install: true,
         scopes: [company/orders, company/taxes], ui_url: 'https://tax.example/app', public_url: 'http://localhost:${port}' }
  shop_eu: { kind: fynd-platform, base_url: '${eu.url}', api_key: ${API_KEY}, api_secret: ${API_SECRET}, auto_install: true,
             scopes: [company/products], ui_url: 'https://eu.shop.example', public_url: 'http://127.0.0.1:${port}' }
`;

beforeAll(async () => {
  await cluster.open();
  running.push(await startSimulator({ port: 0, apiKey: TAX_KEY, apiSecret: TAX_SECRET }));
  running.push(await startSimulator({ port: 0, apiKey: API_KEY, apiSecret: API_SECRET }));
  port = await freePort();
  const PROVIDERS_FILE = join(folder, 'providers.yaml');
  writeFileSync(PROVIDERS_FILE, yaml());
  broker = await world.local({ PROVIDERS_FILE, PUBLIC_PORT: String(port) });
});
afterAll(async () => {
  cluster.close();
  for (const simulator of running) await simulator.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await world.sql('truncate connections, uninstall_hints, consumed_states, provider_states');
  for (const simulator of [tax, eu]) await simulator.control('POST', 'reset');
});

const NAMES = ['shop', 'tax', 'shop_eu'] as const;
type Name = (typeof NAMES)[number];

const simulatorOf = (name: Name): SimulatorCaller => ({ shop: world.simulator, tax, shop_eu: eu })[name];
const clusterOf = (name: Name): string => (name === 'shop_eu' ? eu.url : cluster.url);
const token = (name: Name, companyId = '42'): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/${name}/companies/${companyId}`);

/** On the host of the extension, where its cookie is good. */
function installUrl(name: Name, more: Record<string, string> = {}): string {
  const client_id = name === 'tax' ? TAX_KEY : API_KEY;
  const query = { company_id: '42', client_id, cluster_url: clusterOf(name), ...more };
  const host = name === 'tax' ? 'localhost' : '127.0.0.1';
  return `http://${host}:${port}/fp/install?${String(new URLSearchParams(query))}`;
}

/** Begins and agrees: where consent was asked for, and where the browser is to come back to. */
async function agree(browser: Browser, name: Name, more = {}): Promise<{ asked: URL; back: URL }> {
  const begun = await browser.visit(installUrl(name, more));
  const asked = new URL(begun.headers.get('location') ?? '');
  const agreed = await browser.visit(asked.href);
  return { asked, back: new URL(agreed.headers.get('location') ?? '') };
}

async function install(name: Name, browser = new Browser(), more = {}): Promise<string | null> {
  const { back } = await agree(browser, name, more);
  return (await browser.visit(back.href)).headers.get('location');
}

const statuses = async (): Promise<Json> => {
  const rows = await world.sql<{ provider: string; status: string }>(
    'select provider, status from connections',
  );
  return Object.fromEntries(rows.map(({ provider, status }) => [provider, status]));
};

describe('several extensions and clusters', () => {
  it('each ask for consent at their own cluster, as themselves, for their own scopes, and come back to their own host', async () => {
    const asked = await Promise.all(NAMES.map(async (name) => (await agree(new Browser(), name)).asked));
    expect(asked.map(({ origin }) => origin)).toEqual([cluster.url, cluster.url, eu.url]);
    const wanted = ['client_id', 'redirect_uri', 'scope'];
    expect(asked.map(({ searchParams }) => wanted.map((name) => searchParams.get(name)))).toEqual([
      [API_KEY, `http://127.0.0.1:${port}/fp/auth`, 'company/products'],
      [TAX_KEY, `http://localhost:${port}/fp/auth`, 'company/orders,company/taxes'],
      [API_KEY, `http://127.0.0.1:${port}/fp/auth`, 'company/products'],
    ]);
  });

  it('each have a way back of their own for a grant that is dead', async () => {
    for (const name of ['shop', 'shop_eu'] as const) {
      await install(name);
      await world.sql(
        `update connections set status = 'reauthorization_required', expires_at = broker_now()`,
      );
      const { body } = await token(name);
      const back = await new Browser().visit(String(body['authorize_url']));
      expect(new URL(back.headers.get('location') ?? '').origin).toBe(clusterOf(name));
    }
  });

  it('never meet, however their installs of one company are interleaved in one browser', async () => {
    const browser = new Browser();
    const backs = [];
    for (const name of NAMES) backs.push((await agree(browser, name)).back);
    const landed = [];
    for (const back of backs.reverse()) landed.push((await browser.visit(back.href)).headers.get('location'));
    expect(landed).toEqual([
      'https://eu.shop.example/company/42',
      'https://tax.example/app/company/42',
      'https://shop.example/company/42',
    ]);

    const rows = await world.sql<{ id: string }>('select distinct id, provider, company_id from connections');
    expect(rows).toHaveLength(3);
    for (const name of NAMES) {
      const { body } = await token(name);
      expect(body).toMatchObject({ provider: name, base_url: clusterOf(name), version: 1 });
      for (const other of NAMES) {
        const { active } = await simulatorOf(other).introspect(body['access_token']);
        expect([name, other, active]).toEqual([name, other, name === other]);
      }
    }
  });

  it('renew each at their own cluster, with their own key', async () => {
    for (const name of NAMES) await install(name);
    const [{ body: before }, { body: others }] = [await token('tax'), await token('shop')];
    await world.api(broker, 'POST', `/v1/connections/${String(before['connection_id'])}/renew`);
    expect((await token('tax')).body).toMatchObject({
      version: 2,
      scopes: ['company/orders', 'company/taxes'],
    });
    expect((await token('shop')).body).toMatchObject({ version: 1, access_token: others['access_token'] });
    const renewals = await Promise.all(
      NAMES.map(async (name) => (await simulatorOf(name).ledger()).counters['renewals']),
    );
    expect(renewals).toEqual([0, 1, 0]);
  });

  it('refuse the state of another at their callback, and nobody is asked', async () => {
    const browser = new Browser();
    const [shop, other] = [(await agree(browser, 'shop')).back, (await agree(browser, 'tax')).back];
    for (const [back, from] of [
      [shop, other],
      [other, shop],
    ] as const) {
      const mixed = new URL(back);
      mixed.searchParams.set('state', from.searchParams.get('state') ?? '');
      const page = await browser.visit(mixed.href);
      expect([page.status, page.text]).toEqual([400, expect.stringContaining('for another company')]);
      const renamed = new URL(back);
      renamed.searchParams.set('client_id', from.searchParams.get('client_id') ?? '');
      expect((await browser.visit(renamed.href)).status).toBe(400);
    }
    expect(await world.sql('select id from connections')).toEqual([]);
    for (const name of NAMES) expect((await simulatorOf(name).ledger()).counters['calls']).toBe(0);
    // What was refused was not used up.
    for (const back of [shop, other]) expect((await browser.visit(back.href)).status).toBe(302);
  });

  it('on two clusters take no code of the one for a consent of the other', async () => {
    const browser = new Browser();
    const [here, there] = [(await agree(browser, 'shop')).back, (await agree(browser, 'shop_eu')).back];
    const mixed = new URL(there);
    mixed.searchParams.set('state', here.searchParams.get('state') ?? '');
    const page = await browser.visit(mixed.href);
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('did not accept this consent')]);
    expect(await world.sql('select id from connections')).toEqual([]);
    expect((await eu.ledger()).counters['calls']).toBe(0);
    expect((await browser.visit(there.href)).headers.get('location')).toBe(
      'https://eu.shop.example/company/42',
    );
  });

  it('on two clusters need to be told which; on one they do not', async () => {
    const query = new URLSearchParams({ company_id: '42', client_id: API_KEY });
    const page = await new Browser().visit(`${broker.public}/fp/install?${String(query)}`);
    expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    query.set('client_id', TAX_KEY);
    expect((await new Browser().visit(`${broker.public}/fp/install?${String(query)}`)).status).toBe(302);
    query.set('cluster_url', eu.url);
    expect((await new Browser().visit(`${broker.public}/fp/install?${String(query)}`)).status).toBe(400);
  });

  it('carry the sales channel from where a seller comes on to where the seller lands', async () => {
    const more = { application_id: 'channel-7' };
    expect(await install('tax', new Browser(), more)).toBe(
      'https://tax.example/app/company/42?application_id=channel-7',
    );
    expect(await install('shop', new Browser(), { ...more, redirect_path: '/a?b=c#d' })).toBe(
      'https://shop.example/a?b=c&application_id=channel-7#d',
    );
    expect(await install('shop', new Browser(), { application_id: '' })).toBe(
      'https://shop.example/company/42',
    );
    for (const id of ['a b', '..', '<i>']) {
      expect((await new Browser().visit(installUrl('tax', { application_id: id }))).status).toBe(400);
    }
  });
});

describe('an uninstall', () => {
  beforeEach(async () => {
    for (const name of NAMES) await install(name);
    for (const name of NAMES) await simulatorOf(name).uninstall('42');
  });

  it('that names an extension is of that one, on whatever cluster', async () => {
    await hint(broker, { company_id: '42', client_id: TAX_KEY });
    await proveAll(world, broker);
    expect(await statuses()).toEqual({ shop: 'active', tax: 'revoked', shop_eu: 'active' });
    await hint(broker, { company_id: '42', client_id: API_KEY });
    await proveAll(world, broker);
    expect(await statuses()).toEqual({ shop: 'revoked', tax: 'revoked', shop_eu: 'revoked' });
  });

  it('that names none is looked into for all of them, and each is asked for itself', async () => {
    await install('shop');
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(await statuses()).toEqual({ shop: 'active', tax: 'revoked', shop_eu: 'revoked' });
  });

  it('is signed for the extension whose secret it is, and for no other', async () => {
    await install('tax');
    await install('shop');
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    await tax.uninstall('42');
    await world.simulator.uninstall('42');
    await signedHint(broker, { company_id: '42' }, TAX_SECRET);
    await proveAll(world, broker);
    expect(await statuses()).toMatchObject({ tax: 'revoked', shop: 'active' });
  });
});

describe('an install without a browser', () => {
  const send = (body: Json, secret: string): Promise<Answer> => {
    const text = JSON.stringify(body);
    return ask(
      'POST',
      `${broker.public}/fp/auto_install`,
      { 'x-fp-signature': signature(text, secret) },
      text,
    );
  };

  it('is of the extension whose secret signs it', async () => {
    const { body } = await tax.autoInstall('42');
    expect((await send({ company_id: '42', code: body['code'] }, TAX_SECRET)).body).toEqual({
      installed: true,
    });
    expect(await statuses()).toEqual({ tax: 'active' });
  });

  it('has to say which, where one secret is good on two clusters: a code is shown to no other', async () => {
    const { code } = (await eu.autoInstall('42')).body;
    const body = { company_id: '42', code };
    for (const more of [
      {},
      { client_id: API_KEY },
      { client_id: API_KEY, cluster_url: 'https://evil.example' },
    ]) {
      expect((await send({ ...body, ...more }, API_SECRET)).body).toMatchObject({ code: 'invalid_request' });
    }
    expect((await world.simulator.ledger()).counters['calls']).toBe(0);
    const named = await send({ ...body, client_id: API_KEY, cluster_url: eu.url }, API_SECRET);
    expect(named.body).toEqual({ installed: true });
    expect(await statuses()).toEqual({ shop_eu: 'active' });
  });
});
