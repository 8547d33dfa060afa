import { request, type IncomingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { calculatePKCECodeChallenge } from 'oauth4webapi';
import { ObservationKeeper } from '../../src/token/observation-keeper.js';
import { Browser } from '../support/browser.js';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import { answer, HostileServer, says } from '../support/hostile-server.js';
import { ask, type Json } from '../support/http.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const SHOP = 'https://shop.example/tokens';

describe('a consent of OAuth 2', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const writeProviders = useProvidersFiles();
  const token = new HostileServer();
  const elsewhere = new HostileServer();
  let standard: Json;
  let broker: LocalBroker;

  beforeAll(async () => {
    await Promise.all([token.open(), elsewhere.open()]);
    const { url } = world.simulator;
    const client = { kind: 'oauth2', client_id: API_KEY, client_secret: '${CONNECT_CLIENT_SECRET}' };
    standard = { ...client, authorize_url: `${url}/oauth2/authorize`, token_url: `${url}/oauth2/token` };
    const PROVIDERS_FILE = writeProviders({
      connect: {
        ...client,
        base_url: `${url}/connect`,
        authorize_url: '${CONNECT_AUTHORIZE_URL}',
        token_url: '${CONNECT_TOKEN_URL}',
        body: 'json',
        pkce: false,
      },
      crm: standard,
      shop: { ...standard, base_url: `${url}/shop`, public_url: SHOP },
      spied: { ...standard, token_url: `${token.url}/token` },
    });
    broker = await world.local({ PROVIDERS_FILE, TRUSTED_PROXIES: '127.0.0.1' });
  });
  afterAll(() => Promise.all([token.close(), elsewhere.close()]));
  beforeEach(() => {
    token.requests.length = 0;
    token.act = says(() => answer(200, '{"access_token":"test-secret-a","refresh_token":"test-secret-r"}'));
  });

  /** A consent that was agreed to, and what could be seen of it so far. */
  async function begin(
    provider: string,
    browser = new Browser(),
  ): Promise<{ consent: URL; back: URL; cookie: string }> {
    const before = browser.cookies;
    const consent = await seller.open(await seller.link(broker, provider), browser);
    const [cookie = ''] = browser.cookies.filter((it) => !before.includes(it));
    const agreed = await browser.visit(consent.href);
    return { consent, back: new URL(agreed.headers.get('location') ?? ''), cookie };
  }

  it('writes nothing when it begins, but that its link was used', async () => {
    const link = await seller.link(broker, 'crm');
    await broker.broker.app.get(ObservationKeeper).write();
    const before = await world.dump();
    await seller.agree(link, new Browser());
    const news = (await world.dump()).filter((row) => !before.includes(row));
    expect(news).toEqual([expect.stringMatching(/^\("\\\\x[0-9a-f]{64}",/)]);
    expect((await world.simulator.ledger()).counters['calls']).toBe(0);
  });

  it('has a cookie that holds no secret, only what it was begun for', async () => {
    const { consent, cookie } = await begin('crm');
    expect(decodeJwt(cookie.split('=')[1] ?? '')).toEqual({
      aud: 'token-broker install',
      exp: expect.any(Number),
      state: consent.searchParams.get('state'),
      install: { provider: 'crm', companyId: '42', clientId: API_KEY, scopes: [] },
    });
  });

  it('has a code_verifier of its own, which is shown to nobody but the token endpoint', async () => {
    const verifiers = new Set<string>();
    for (const browser of [new Browser(), new Browser()]) {
      const { consent, back, cookie } = await begin('spied', browser);
      expect(consent.searchParams.get('code_challenge_method')).toBe('S256');
      const landed = await browser.visit(back.href);
      expect(landed.status).toBe(200);
      const [, body = ''] = token.requests.at(-1)?.split('\r\n\r\n') ?? [];
      const verifier = new URLSearchParams(body).get('code_verifier') ?? '';
      expect(verifier).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(await calculatePKCECodeChallenge(verifier)).toBe(consent.searchParams.get('code_challenge'));
      verifiers.add(verifier);
      const claims = JSON.stringify(decodeJwt(cookie.split('=')[1] ?? ''));
      const answered = landed.text + JSON.stringify([...landed.headers]);
      const shown = [consent.href, claims, cookie, answered, ...world.logs, ...(await world.dump())];
      expect(shown.filter((text) => text.includes(verifier))).toEqual([]);
      const secrets = [back.searchParams.get('code') ?? '', back.searchParams.get('state') ?? ''];
      expect(world.logs.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
    }
    expect(verifiers.size).toBe(2);
  });

  it.each([301, 302, 303, 307, 308])('follows no token endpoint that answers %i', async (status) => {
    const location = `${elsewhere.url}/token?and=more`;
    token.act = says(() => answer(status, '{}', { location }));
    const browser = new Browser();
    const { back } = await begin('spied', browser);
    const page = await browser.visit(back.href);
    expect([page.status, page.text]).toEqual([502, expect.stringContaining('not set up rightly')]);
    expect(page.text).not.toContain(elsewhere.url);
    expect(token.requests).toHaveLength(1);
    expect(elsewhere.received).toBe(0);
    expect(await world.sql('select 1 from connections')).toEqual([]);
  });

  describe('comes back to the public address that is configured', () => {
    /** A visit in which a header may be anything, Host too. */
    const visit = (url: string, headers: Record<string, string>): Promise<IncomingHttpHeaders> =>
      new Promise((resolve, reject) => {
        request(url, { headers }, (response) => resolve(response.resume().headers))
          .on('error', reject)
          .end();
      });

    it.each([
      ['Host', { host: 'evil.example' }],
      [
        'X-Forwarded-Host, from a trusted proxy',
        { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
      ],
      ['Forwarded', { forwarded: 'host=evil.example;proto=https' }],
      ['X-Original-Host', { 'x-original-host': 'evil.example', 'x-forwarded-server': 'evil.example' }],
    ])('whatever %s says', async (_, headers) => {
      const { location = '', 'set-cookie': cookies = [] } = await visit(
        await seller.link(broker, 'crm'),
        headers,
      );
      expect(new URL(location).searchParams.get('redirect_uri')).toBe(`${broker.public}/oauth/crm/callback`);
      expect(cookies.join()).not.toMatch(/evil|domain|secure/i);
      const link = (await seller.link(broker, 'shop')).replace(SHOP, broker.public);
      expect((await visit(link, headers)).location).toContain(encodeURIComponent(SHOP));
    });

    it("which may be a provider's own, with a cookie as safe as that allows", async () => {
      const link = await seller.link(broker, 'shop');
      expect(link).toMatch(`${SHOP}/oauth/shop/authorize?link=`);
      const here = (address: string): string => address.replace(SHOP, broker.public);
      const begun = await new Browser().visit(here(link));
      const consent = new URL(begun.headers.get('location') ?? '');
      expect(consent.searchParams.get('redirect_uri')).toBe(`${SHOP}/oauth/shop/callback`);
      const [line = ''] = begun.headers.getSetCookie();
      expect(line).toMatch(/^__Host-tb_[0-9a-f]{16}=/);
      for (const attribute of ['Secure', 'HttpOnly', 'SameSite=None', 'Partitioned', 'Path=/'])
        expect(line.split('; ')).toContain(attribute);

      const back = here((await new Browser().visit(consent.href)).headers.get('location') ?? '');
      const cookie = line.split(';')[0] ?? '';
      // As a neighbouring host could plant it, it does not count.
      expect((await ask('GET', back, { cookie: cookie.replace('__Host-', '') })).status).toBe(400);
      const arrived = await ask('GET', back, { cookie });
      expect([arrived.status, arrived.headers.getSetCookie()]).toEqual([
        200,
        [expect.stringMatching(/^__Host-tb_[0-9a-f]{16}=; Max-Age=0; .*Secure/)],
      ]);
    });

    it('over plain http with a cookie that no https provider takes', async () => {
      const { back, cookie } = await begin('crm');
      expect(cookie).toMatch(/^tb_/);
      expect((await ask('GET', back.href, { cookie: `__Host-${cookie}` })).status).toBe(400);
      expect((await ask('GET', back.href, { cookie })).status).toBe(200);
    });
  });

  it('meets no other of the same browser: two tabs, two providers, in whichever order they end', async () => {
    const browser = new Browser();
    const tabs = [await begin('crm', browser), await begin('connect', browser), await begin('crm', browser)];
    expect(browser.cookies).toHaveLength(3);
    const pages = await Promise.all(tabs.reverse().map(({ back }) => browser.visit(back.href)));
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(browser.cookies).toEqual([]);
    const held = await Promise.all(
      ['crm', 'connect'].map(async (provider) => (await seller.token(broker, provider)).body['access_token']),
    );
    const kinds = await Promise.all(
      held.map(async (it) => (await world.simulator.introspect(it))['provider']),
    );
    expect(kinds).toEqual(['oauth2', 'connect']);
  });

  it.each([
    ...[
      'client_id',
      'client_secret',
      'redirect_uri',
      'response_type',
      'scope',
      'state',
      'code',
      'grant_type',
    ],
    ...['code_verifier', 'code_challenge', 'code_challenge_method', 'refresh_token'],
  ])('cannot be given another %s by the file', async (name) => {
    for (const field of ['authorize_params', 'token_params']) {
      const PROVIDERS_FILE = writeProviders({
        crm: { ...standard, [field]: { prompt: 'consent', [name]: 'evil' } },
      });
      const starting = world.local({ PROVIDERS_FILE });
      await expect(starting).rejects.toThrow(`provider "crm": ${field}: ${name} is the protocol's own`);
    }
  });
});
