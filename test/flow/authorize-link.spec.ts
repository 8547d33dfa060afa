import { beforeAll, describe, expect, it } from '@jest/globals';
import { base64url, decodeJwt, SignJWT } from 'jose';
import { Vault } from '../../src/vault/vault.js';
import { Browser } from '../support/browser.js';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import { ask } from '../support/http.js';
import { API_KEY, UI_URL, useWorld, type LocalBroker } from '../support/world.js';

const FYND_AUTHORIZE = '/service/panel/authentication/v1.0/company/42/oauth/authorize';

describe('an authorize-link', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const writeProviders = useProvidersFiles();
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    const { url } = world.simulator;
    const client = { kind: 'oauth2', client_id: API_KEY, client_secret: '${CONNECT_CLIENT_SECRET}' };
    const crm = {
      ...client,
      base_url: `${url}/oauth2`,
      issuer: url,
      scopes: ['read', 'write'],
      ui_url: UI_URL,
    };
    const file = writeProviders({
      fynd: {
        kind: 'fynd-platform',
        base_url: '${FYND_BASE_URL}',
        api_key: '${FYND_API_KEY}',
        api_secret: '${FYND_API_SECRET}',
        scopes: '${FYND_SCOPES}',
        ui_url: '${FYND_UI_URL}',
      },
      konnect: { kind: 'konnect', base_url: '${KONNECT_BASE_URL}' },
      portal: { kind: 'portal' },
      connect: {
        ...client,
        base_url: `${url}/connect`,
        authorize_url: '${CONNECT_AUTHORIZE_URL}',
        token_url: '${CONNECT_TOKEN_URL}',
        body: 'json',
        pkce: false,
        scopes: ['*'],
      },
      crm,
      machine: { ...client, token_url: `${url}/oauth2/token`, grant: 'client_credentials' },
    });
    broker = await world.local({ PROVIDERS_FILE: file });
    // Of the same installation, and without the others.
    other = await world.local({ PROVIDERS_FILE: writeProviders({ crm }), PUBLIC_URL: broker.public });
  });

  /** The parameters with which a link sends a browser to the provider. */
  const asked = async (link: string): Promise<URL> => seller.open(link, new Browser());

  async function expectNoGood(link: string, at = broker): Promise<void> {
    const browser = new Browser();
    const page = await browser.visit(link.replace(broker.public, at.public));
    expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    expect(page.text).toContain('This link is not good any more');
    expect(browser.cookies).toEqual([]);
  }

  describe.each([
    ['connect', '/connect/oAuth/authorize', ' ', '*', null],
    ['crm', '/oauth2/authorize', ' ', 'read write', `${UI_URL}/company/42`],
    ['fynd', FYND_AUTHORIZE, ',', 'company/products,company/orders', `${UI_URL}/company/42`],
  ] as const)('to %s', (provider, path, separator, scope, landing) => {
    it('begins consent there, and ends with a connection of the company that it was made for', async () => {
      const link = await seller.link(broker, provider);
      expect(link).toMatch(`${broker.public}/oauth/${provider}/authorize?link=`);
      const { origin, pathname, searchParams } = await asked(link);
      expect([origin + pathname, searchParams.get('scope')]).toEqual([world.simulator.url + path, scope]);
      const landed = await seller.connect(broker, provider);
      expect(landed.headers.get('location')).toBe(landing);
      expect(landed.status).toBe(landing === null ? 200 : 302);
      expect(await seller.connection(broker, provider)).toMatchObject({ company_id: '42', status: 'active' });
    });

    it('asks for the scopes that it names beside the configured ones, each once', async () => {
      const [first = ''] = scope.split(separator);
      const wider = await asked(await seller.link(broker, provider, { scopes: ['more', first, 'most'] }));
      expect(wider.searchParams.get('scope')).toBe([scope, 'more', 'most'].join(separator));
      await seller.connect(broker, provider, { scopes: ['more'] });
      const { body } = await seller.token(broker, provider, '?scope=more');
      expect(body['scopes']).toEqual([...scope.split(separator), 'more']);
    });

    it('is good for ten minutes', async () => {
      const before = world.clock.now().getTime();
      const { body } = await seller.ask(broker, provider);
      const lives = Date.parse(String(body['expires_at'])) - before;
      expect(Math.abs(lives - 600_000)).toBeLessThan(2_000);
      await world.advance(597);
      await asked(String(body['url']));
      const late = await seller.link(broker, provider);
      await world.advance(601);
      await expectNoGood(late);
    });

    it('is good once', async () => {
      const link = await seller.link(broker, provider);
      await asked(link);
      await expectNoGood(link);
    });
  });

  it('is good once, whichever replica saw it first', async () => {
    const link = await seller.link(broker, 'crm');
    await asked(link.replace(broker.public, other.public));
    await expectNoGood(link);
  });

  it('is good once, though two browsers open it at the same moment', async () => {
    const link = await seller.link(broker, 'crm');
    const all = [broker, other, broker, other].map((at) =>
      new Browser().visit(link.replace(broker.public, at.public)),
    );
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    expect(statuses.sort((a, b) => a - b)).toEqual([302, 400, 400, 400]);
  });

  it('is not used up by a HEAD, as mail programs send it', async () => {
    const link = await seller.link(broker, 'connect');
    const looked = await ask('HEAD', link);
    expect([looked.status, looked.headers.has('location'), looked.headers.getSetCookie()]).toEqual([
      200,
      false,
      [],
    ]);
    await asked(link);
  });

  it('lands at its redirect_path on the origin of the ui_url', async () => {
    for (const provider of ['crm', 'fynd']) {
      const landed = await seller.connect(broker, provider, { redirect_path: '/orders?tab=2#newest' });
      expect(landed.headers.get('location')).toBe('https://extension.example/orders?tab=2#newest');
    }
  });

  it('fits with all that it may carry into the cookie that a browser takes', async () => {
    const scopes = Array.from({ length: 4 }, (_, n) => `${n}`.repeat(249));
    const browser = new Browser();
    await seller.open(
      await seller.link(broker, 'crm', { scopes, redirect_path: `/${'a'.repeat(999)}` }),
      browser,
    );
    expect(browser.cookies.map(({ length }) => length < 4_096)).toEqual([true]);
  });

  it('is of no use for what it was not made for, and is not used up by that', async () => {
    const link = await seller.link(broker, 'crm');
    await expectNoGood(link.replace('/oauth/crm/', '/oauth/connect/'));
    await expectNoGood(link.replace('/oauth/crm/', '/oauth/nobody/'));
    await asked(link);
  });

  it('is of no use once its provider is gone', async () => {
    await expectNoGood(await seller.link(broker, 'connect'), other);
  });

  describe('that somebody made up', () => {
    const encode = (value: object): string => base64url.encode(JSON.stringify(value));

    async function parts(): Promise<{ url: string; head: string; body: string; signature: string }> {
      const [url = '', token = ''] = (await seller.link(broker, 'crm')).split('?link=');
      const [head = '', body = '', signature = ''] = token.split('.');
      return { url: `${url}?link=`, head, body, signature };
    }

    it.each(['none', 'None', 'HS512', 'RS256', 'HS256 '])('with the algorithm %j is refused', async (alg) => {
      const { url, body, signature } = await parts();
      for (const end of ['', signature]) await expectNoGood(`${url}${encode({ alg })}.${body}.${end}`);
    });

    it('for another company, or with another signature, is refused', async () => {
      const { url, head, body, signature } = await parts();
      const claims = decodeJwt<{ consent: object }>(`${head}.${body}.${signature}`);
      const another = encode({ ...claims, consent: { ...claims.consent, companyId: '43' } });
      await expectNoGood(`${url}${head}.${another}.${signature}`);
      await expectNoGood(`${url}${head}.${body}.${signature.split('').reverse().join('')}`);
      await expectNoGood(`${url}${head}.${body}`);
      await expectNoGood(`${url}nothing`);
    });

    it('from the cookie of a consent, or signed by us for anything else, is refused', async () => {
      const browser = new Browser();
      await seller.open(await seller.link(broker, 'crm'), browser);
      const [, cookie = ''] = browser.cookies[0]?.split('=') ?? [];
      expect(decodeJwt(cookie)).toHaveProperty('install.companyId', '42');
      const { url, head, body, signature } = await parts();
      await expectNoGood(`${url}${cookie}`);
      const key = broker.broker.app.get(Vault).signingKey();
      const resigned = (changes: object): Promise<string> =>
        new SignJWT({ ...decodeJwt(`${head}.${body}.${signature}`), ...changes })
          .setProtectedHeader({ alg: 'HS256' })
          .sign(key);
      for (const changes of [{ aud: 'token-broker install' }, { aud: undefined }, { exp: undefined }])
        await expectNoGood(`${url}${await resigned(changes)}`);
      await asked(`${url}${await resigned({})}`);
    });

    it.each([
      ['nothing', ''],
      ['an empty text', '?link='],
      ['two links', '?link=a&link=b'],
      ['a very long text', `?link=${'a'.repeat(8_001)}`],
    ])('of %s is a page that says what it lacks', async (_, query) => {
      const page = await ask('GET', `${broker.public}/oauth/crm/authorize${query}`);
      expect([page.status, page.text]).toEqual([400, expect.stringContaining('lacks a valid link')]);
    });
  });

  describe('is not made', () => {
    it('for a provider that is not configured', async () => {
      const { status, body } = await seller.ask(broker, 'nobody');
      expect([status, body['code']]).toEqual([404, 'provider_not_found']);
    });

    it.each(['konnect', 'portal', 'machine'])('for %s, to which no seller can consent', async (provider) => {
      const { status, body } = await seller.ask(broker, provider);
      expect([status, body['code']]).toEqual([400, 'invalid_request']);
    });

    it.each([
      ['that is a list', '[]', 'body'],
      ['that is a text', '"42"', 'body'],
      ['whose scopes are a text', { scopes: 'read' }, 'scopes'],
      ['whose scopes are numbers', { scopes: [1] }, 'scopes'],
      ['whose scopes are like a list', { scopes: { length: 1 } }, 'scopes'],
      ['with an empty scope', { scopes: [''] }, 'scopes'],
      ['with a space in a scope', { scopes: ['read write'] }, 'scopes'],
      ['with a comma in a scope', { scopes: ['read,write'] }, 'scopes'],
      ['with more than 50 scopes', { scopes: Array.from({ length: 51 }, (_, n) => `s${n}`) }, 'scopes'],
      ['with scopes that fit into no cookie', { scopes: Array(5).fill('a'.repeat(200)) }, 'scopes'],
      ['whose path is a number', { redirect_path: 7 }, 'redirect_path'],
      ['whose path is empty', { redirect_path: '' }, 'redirect_path'],
      ['whose path names a host', { redirect_path: '//evil.example' }, 'redirect_path'],
      ['whose path is an address', { redirect_path: 'https://evil.example/' }, 'redirect_path'],
      ['whose path hides a host', { redirect_path: '/%5cevil.example' }, 'redirect_path'],
      ['with a field that is not known', { redirect_uri: 'https://evil.example/' }, 'redirect_uri'],
      ['with a field that every object has', { constructor: 1 }, 'body'],
    ])('from a body %s', async (_, sent, field) => {
      for (const provider of ['crm', 'fynd']) {
        const { status, body } = await seller.ask(broker, provider, sent);
        expect([status, body['code']]).toEqual([400, 'invalid_request']);
        expect(body['errors']).toEqual([{ field, message: expect.any(String) }]);
      }
    });

    it('with a path where the provider has no ui_url to land on', async () => {
      const { status, body } = await seller.ask(broker, 'connect', { redirect_path: '/orders' });
      expect([status, body['errors']]).toEqual([
        400,
        [{ field: 'redirect_path', message: expect.any(String) }],
      ]);
    });

    it.each([undefined, '', '{}', 'null', '{"scopes":null,"redirect_path":null}'])(
      'any otherwise from the body %j, which asks for nothing more',
      async (sent) => {
        const { status, body } = await seller.ask(broker, 'crm', sent);
        expect(status).toBe(200);
        const landed = await new Browser().follow(String(body['url']), [
          new URL(broker.public).host,
          new URL(world.simulator.url).host,
        ]);
        expect(landed.headers.get('location')).toBe(`${UI_URL}/company/42`);
      },
    );
  });
});
