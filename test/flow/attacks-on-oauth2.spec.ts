import { beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, SignJWT } from 'jose';
import { Vault } from '../../src/vault/vault.js';
import { Browser } from '../support/browser.js';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import { ask, type Answer } from '../support/http.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

describe('a consent of OAuth 2 that comes back', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const writeProviders = useProvidersFiles();
  let broker: LocalBroker;

  beforeAll(async () => {
    const { url } = world.simulator;
    const client = { kind: 'oauth2', client_id: API_KEY, client_secret: '${CONNECT_CLIENT_SECRET}' };
    const PROVIDERS_FILE = writeProviders({
      connect: {
        ...client,
        base_url: `${url}/connect`,
        authorize_url: '${CONNECT_AUTHORIZE_URL}',
        token_url: '${CONNECT_TOKEN_URL}',
        body: 'json',
        pkce: false,
      },
      crm: { ...client, issuer: url, base_url: `${url}/crm` },
      fynd: {
        kind: 'fynd-platform',
        base_url: '${FYND_BASE_URL}',
        api_key: API_KEY,
        api_secret: '${FYND_API_SECRET}',
      },
    });
    broker = await world.local({ PROVIDERS_FILE });
  });

  /** Where the browser is to come back to, and with which cookies it would. */
  async function begin(provider: string): Promise<{ back: URL; browser: Browser; cookie: string }> {
    const browser = new Browser();
    const back = await seller.agree(await seller.link(broker, provider), browser);
    return { back, browser, cookie: browser.cookies.join('; ') };
  }

  const comeBack = (back: URL | string, cookie = '', accept = 'text/html'): Promise<Answer> =>
    ask('GET', String(back), { accept, ...(cookie === '' ? {} : { cookie }) });

  /** A page says so; nobody was asked for a token and nothing is kept. */
  async function expectRefused(page: Answer, text: string): Promise<void> {
    expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    expect(page.text).toContain(text);
    expect(page.headers.has('location')).toBe(false);
    expect((await world.simulator.ledger()).counters['calls']).toBe(0);
    expect(await world.sql('select 1 from connections')).toEqual([]);
  }

  const UNKNOWN = 'not one that was begun here';

  it('without its cookie is refused, and with it it is not', async () => {
    const { back, cookie } = await begin('crm');
    await expectRefused(await comeBack(back), UNKNOWN);
    expect((await comeBack(back, cookie)).status).toBe(200);
  });

  it('in another browser is refused, even with a cookie of its own under the right name', async () => {
    const [mine, yours] = [await begin('crm'), await begin('crm')];
    await expectRefused(await comeBack(mine.back, yours.cookie), UNKNOWN);
    const [myName = ''] = mine.cookie.split('=');
    await expectRefused(await comeBack(mine.back, `${myName}=${yours.cookie.split('=')[1]}`), UNKNOWN);
  });

  it.each([
    ['crm', 'connect'],
    ['connect', 'crm'],
  ])('from %s at the address of %s is refused: two servers are not mixed up', async (one, other) => {
    const { back, cookie } = await begin(one);
    const wrong = back.href.replace(`/oauth/${one}/`, `/oauth/${other}/`);
    await expectRefused(await comeBack(wrong, cookie), 'for another company');
    await expectRefused(await comeBack(back.href.replace(one, 'nobody'), cookie), 'for another company');
  });

  it("from a server of OAuth 2 at Fynd's address, or the other way round, is refused", async () => {
    const { back, cookie } = await begin('crm');
    const atFynd = `${broker.public}/fp/auth${back.search}&company_id=42&client_id=${API_KEY}`;
    await expectRefused(await comeBack(atFynd, cookie), 'for another company');
    const fynd = await begin('fynd');
    await expectRefused(
      await comeBack(`${broker.public}/oauth/fynd/callback${fynd.back.search}`, fynd.cookie),
      'for another company',
    );
    expect((await comeBack(fynd.back, fynd.cookie)).status).toBe(200);
  });

  it('from another issuer than was asked is refused (RFC 9207)', async () => {
    const { back, cookie } = await begin('crm');
    back.searchParams.set('iss', 'https://evil.example');
    await expectRefused(await comeBack(back, cookie), 'for another company');
  });

  it('a second time is refused, whatever has become of the first', async () => {
    const { back, cookie } = await begin('crm');
    expect((await comeBack(back, cookie)).status).toBe(200);
    const version = (await seller.connection(broker, 'crm'))?.['token_version'];
    const again = await comeBack(back, cookie);
    expect([again.status, again.text]).toEqual([400, expect.stringContaining('used already')]);
    expect((await world.simulator.ledger()).counters['calls']).toBe(1);
    expect((await seller.connection(broker, 'crm'))?.['token_version']).toBe(version);
  });

  it('after ten minutes is refused', async () => {
    const { back, cookie } = await begin('crm');
    await world.advance(601);
    await expectRefused(await comeBack(back, cookie), UNKNOWN);
  });

  it.each(['state', 'code'])('without %s, with an empty one or with two is refused', async (name) => {
    const { back, cookie } = await begin('crm');
    const value = back.searchParams.get(name) ?? '';
    const lacks = `lacks a valid ${name}`;
    await expectRefused(await comeBack(`${back.href}&${name}=${value}`, cookie), lacks);
    await expectRefused(await comeBack(`${back.href}&${name}=evil`, cookie), lacks);
    back.searchParams.set(name, '');
    await expectRefused(await comeBack(back, cookie), lacks);
    back.searchParams.delete(name);
    await expectRefused(await comeBack(back, cookie), lacks);
  });

  it('with a link for its cookie, or one signed by us for anything else, is refused', async () => {
    const { back, cookie } = await begin('crm');
    const link = (await seller.link(broker, 'crm')).split('?link=')[1];
    const [name = '', value = ''] = cookie.split('=');
    await expectRefused(await comeBack(back, `${name}=${link}`), UNKNOWN);
    const key = broker.broker.app.get(Vault).signingKey();
    const resigned = async (changes: object): Promise<string> => {
      const jwt = new SignJWT({ ...decodeJwt(value), ...changes });
      return `${name}=${await jwt.setProtectedHeader({ alg: 'HS256' }).sign(key)}`;
    };
    for (const changes of [{ aud: 'token-broker authorize-link' }, { aud: undefined }, { exp: undefined }])
      await expectRefused(await comeBack(back, await resigned(changes)), UNKNOWN);
    expect((await comeBack(back, await resigned({}))).status).toBe(200);
  });

  it('with the code of another consent is refused by the code_verifier', async () => {
    const [mine, theirs] = [await begin('crm'), await begin('crm')];
    mine.back.searchParams.set('code', theirs.back.searchParams.get('code') ?? '');
    const page = await comeBack(mine.back, mine.cookie);
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('did not accept this consent')]);
    expect(await world.sql('select 1 from connections')).toEqual([]);
    // It was not spent by that.
    expect((await comeBack(theirs.back, theirs.cookie)).status).toBe(200);
  });

  it('to a HEAD spends nothing', async () => {
    const { back, cookie } = await begin('crm');
    await ask('HEAD', back.href, { cookie });
    expect((await world.simulator.ledger()).counters['calls']).toBe(0);
    expect((await comeBack(back, cookie)).status).toBe(200);
  });

  it.each([
    ['access_denied', 400, 'You did not agree'],
    ['server_error', 503, 'cannot be reached now'],
    ['temporarily_unavailable', 503, 'cannot be reached now'],
    ['invalid_scope', 502, 'not set up rightly'],
    ['unauthorized_client', 502, 'not set up rightly'],
    ['<script>evil()</script>', 502, 'not set up rightly'],
    [`evil${'l'.repeat(97)}`, 400, 'lacks a valid error'],
  ])('with the error %s is a page of our own words', async (error, status, text) => {
    const { back, cookie } = await begin('crm');
    back.searchParams.delete('code');
    back.searchParams.set('error', error);
    back.searchParams.set('error_description', 'evil <b>words</b>');
    back.searchParams.set('error_uri', 'https://evil.example/');
    for (const accept of ['text/html', 'application/json']) {
      const page = await comeBack(back, cookie, accept);
      expect([page.status, page.text]).toEqual([
        status,
        expect.stringContaining(accept === 'text/html' ? text : '"code"'),
      ]);
      expect(page.text).not.toContain('evil');
      expect(page.headers.has('location')).toBe(false);
    }
    expect(await world.sql('select 1 from connections')).toEqual([]);
  });
});
