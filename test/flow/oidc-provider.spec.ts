import { beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import type { Answer } from '../support/http.js';
import { fingerprint } from '../support/oidc-server.js';
import { CRM, useOidcScene } from '../support/oidc-scene.js';

/** The same without what the server insists on. */
const CARELESS = CRM.replace('crm:', 'careless:').replace(
  'client_id: crm',
  'client_id: careless\n    pkce: false',
);

const scene = useOidcScene(CRM + CARELESS);

beforeAll(() => scene.register('careless'));

/** Where the broker sends a browser to that opens a new link of this company. */
async function begin(browser: Browser, company: string, provider = 'crm'): Promise<URL> {
  const { headers } = await browser.visit(await scene.link(company, provider));
  return new URL(headers.get('location') ?? '');
}

/** A seller signs in and agrees; the address that the server sends the browser back to. */
async function agree(browser: Browser, consent: URL): Promise<URL> {
  const { headers } = await browser.follow(consent.href, [scene.server.host]);
  return new URL(headers.get('location') ?? '');
}

const countConnections = async (company: string): Promise<number> =>
  (await scene.world.sql('select 1 from connections where company_id = $1', [company])).length;

describe('consent', () => {
  it('brings a token that the server accepts, and that is renewed', async () => {
    const company = scene.nextCompany();
    const arrived = await scene.follow(await scene.link(company));
    expect(arrived.text).toMatch(/The company is connected/);
    const served = await scene.token(company);
    expect(served).toMatchObject({
      status: 200,
      body: {
        version: 1,
        scopes: ['openid', 'offline_access'],
        token_type: 'Bearer',
        base_url: scene.server.url,
      },
    });
    expect(await scene.isAccepted(served)).toBe(true);
    await scene.renew(company);
    const renewed = await scene.token(company);
    expect(renewed.body).toMatchObject({ version: 2, scopes: ['openid', 'offline_access'] });
    expect(renewed.body['access_token']).not.toBe(served.body['access_token']);
    expect(await scene.isAccepted(renewed)).toBe(true);
  });

  it('is asked for with what the file says, and with an S256 challenge of its own', async () => {
    const [one, two] = [await begin(new Browser(), '1'), await begin(new Browser(), '1')];
    expect(`${one.origin}${one.pathname}`).toBe(`${scene.server.url}/auth`);
    expect(Object.fromEntries(one.searchParams)).toEqual({
      client_id: 'crm',
      redirect_uri: `${scene.broker.public}/oauth/crm/callback`,
      response_type: 'code',
      scope: 'openid offline_access',
      prompt: 'consent',
      state: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    });
    expect(two.searchParams.get('code_challenge')).not.toBe(one.searchParams.get('code_challenge'));
  });

  it('is not given by this server without PKCE', async () => {
    const arrived = await scene.follow(await scene.link('2', 'careless'));
    expect(new URL(arrived.url).searchParams.get('error')).toBe('invalid_request');
    expect(arrived).toMatchObject({ status: 502 });
    expect(scene.server.tokenRequests).toEqual([]);
  });

  it('cannot be completed with the code of another one', async () => {
    const company = scene.nextCompany();
    const [victim, attacker] = [new Browser(), new Browser()];
    const stolen = await agree(victim, await begin(victim, company));
    const own = await agree(attacker, await begin(attacker, company));
    own.searchParams.set('code', stolen.searchParams.get('code') ?? '');
    expect((await attacker.visit(own.href)).status).toBe(400);
    expect(scene.server.tokenRequests).toMatchObject([{ error: 'invalid_grant' }]);
    expect(await countConnections(company)).toBe(0);
  });

  it.each([
    ['lacks iss', (url: URL) => url.searchParams.delete('iss')],
    ['names another iss', (url: URL) => url.searchParams.set('iss', 'https://other.example')],
    ['names iss in another spelling', (url: URL) => url.searchParams.set('iss', `${scene.server.url}/`)],
    ['names iss twice', (url: URL) => url.searchParams.append('iss', 'https://other.example')],
  ])('is refused before anything is asked where its answer %s', async (_what, spoil) => {
    const company = scene.nextCompany();
    const browser = new Browser();
    const arrival = await agree(browser, await begin(browser, company));
    expect(arrival.searchParams.get('iss')).toBe(scene.server.url);
    spoil(arrival);
    scene.server.forget();
    expect((await browser.visit(arrival.href)).status).toBe(400);
    expect(scene.server.paths).toEqual([]);
    expect(await countConnections(company)).toBe(0);
  });
});

describe('a grant that was ended at the server', () => {
  it('is dead, and is told with a link on which the same connection comes back', async () => {
    const company = scene.nextCompany();
    const { id } = await scene.connect(company);
    await scene.server.endGrants();
    expect(await scene.renew(company)).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'invalid_grant',
      token_version: 1,
    });
    expect((await scene.token(company)).body).toMatchObject({ version: 1, stale: true });
    await scene.world.advance(3_601);
    const refused = await scene.token(company);
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'reauthorization_required', connection_id: id },
    });
    await scene.follow(String(refused.body['authorize_url']));
    const again = await scene.connectionOf(company);
    expect(again).toMatchObject({ id, status: 'active', token_version: 2, last_error: null });
    expect(await scene.isAccepted(await scene.token(company))).toBe(true);
    expect(await scene.renew(company)).toMatchObject({ status: 'active', token_version: 3 });
  });

  it('is not asked with again', async () => {
    const company = scene.nextCompany();
    await scene.connect(company);
    await scene.server.endGrants();
    await scene.renew(company);
    await scene.renew(company);
    await scene.world.advance(3_601);
    await scene.token(company);
    const renewals = scene.server.tokenRequests.filter(({ grantType }) => grantType === 'refresh_token');
    expect(renewals).toMatchObject([{ error: 'invalid_grant' }]);
  });
});

describe('a grant that was obtained elsewhere', () => {
  const put = (company: string, body: unknown): Promise<Answer> =>
    scene.api('PUT', `/v1/connections/crm/companies/${company}`, body);

  it('is imported by its refresh token and renewed from then on', async () => {
    const company = scene.nextCompany();
    const { refresh } = await scene.grantElsewhere();
    const imported = await put(company, { refresh_token: refresh });
    expect(imported).toMatchObject({ status: 201, body: { status: 'active', token_version: 0 } });
    expect(await scene.isAccepted(await scene.token(company))).toBe(true);
    expect(await scene.renew(company)).toMatchObject({
      token_version: 2,
      scopes: ['openid', 'offline_access'],
    });
    const [first, second] = scene.server.tokenRequests;
    expect(first).toMatchObject({ presented: fingerprint(refresh), error: null });
    expect(second).toMatchObject({ presented: first?.issued, error: null });
    expect(scene.server.tokenRequests).toHaveLength(2);
  });

  it('is served as it came where its token came along', async () => {
    const company = scene.nextCompany();
    const { access, refresh } = await scene.grantElsewhere();
    const imported = await put(company, { access_token: access, refresh_token: refresh, expires_in: 3_600 });
    expect(imported.body).toMatchObject({ token_version: 1 });
    const served = await scene.token(company);
    expect(served.body).toMatchObject({ version: 1, access_token: access });
    expect(await scene.isAccepted(served)).toBe(true);
    expect(scene.server.tokenRequests).toEqual([]);
  });

  it('is dead at once where somebody has used its refresh token already', async () => {
    const company = scene.nextCompany();
    const { refresh } = await scene.grantElsewhere();
    await scene.ask('/token', { grant_type: 'refresh_token', refresh_token: refresh });
    await put(company, { refresh_token: refresh });
    expect(await scene.token(company)).toMatchObject({
      status: 409,
      body: {
        code: 'reauthorization_required',
        authorize_url: expect.stringContaining('/oauth/crm/authorize'),
      },
    });
  });
});
