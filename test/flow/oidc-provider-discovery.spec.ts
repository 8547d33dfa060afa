import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { CRM, useOidcScene } from '../support/oidc-scene.js';
import type { LocalBroker } from '../support/world.js';

const OPENID = '/.well-known/openid-configuration';
const OAUTH = '/.well-known/oauth-authorization-server';

const scene = useOidcScene(`
${CRM.replace('rotation', 'timeout: 1s\n    rotation')}
  written:
    kind: oauth2
    issuer: \${OIDC_ISSUER}
    authorize_url: \${OIDC_ISSUER}/auth
    token_url: \${OIDC_ISSUER}/token
    revocation_url: \${OIDC_ISSUER}/token/revocation
    client_id: written
    client_secret: \${CRM_CLIENT_SECRET}
    scopes: [openid, offline_access]
    authorize_params: { prompt: consent }
  complete:
    kind: oauth2
    authorize_url: \${OIDC_ISSUER}/auth
    token_url: \${OIDC_ISSUER}/token
    revocation_url: \${OIDC_ISSUER}/token/revocation
    client_id: complete
    client_secret: \${CRM_CLIENT_SECRET}
    scopes: [openid, offline_access]
    authorize_params: { prompt: consent }
`);

/** Somebody else's server, which must never hear of us; it says that all is well. */
const visits: string[] = [];
const elsewhere = createServer((request, response) => {
  visits.push(request.url ?? '');
  response.setHeader('content-type', 'application/json').end(JSON.stringify(metadata));
}).listen(0, '127.0.0.1');
const elsewhereUrl = (): string => `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;

/** The server's own document. */
let metadata: Json;
/** Has discovered nothing yet. */
let fresh: LocalBroker;

beforeAll(async () => {
  metadata = (await ask('GET', `${scene.server.url}${OPENID}`)).body;
});
beforeEach(async () => {
  await scene.world.sql('truncate connections, provider_states');
  visits.length = 0;
  fresh = await scene.another();
  for (const name of ['crm', 'written', 'complete']) await scene.register(name);
});
afterAll(() => void elsewhere.close());

/** The document, or what stands in its place, is this from now on. */
function publish(listener: RequestListener, ...paths: string[]): void {
  for (const path of paths.length > 0 ? paths : [OPENID, OAUTH]) scene.server.bent.set(path, listener);
}

const says =
  (status: number, body: string, head: Record<string, string> = { 'content-type': 'application/json' }) =>
  (...[, response]: Parameters<RequestListener>): void => {
    response.writeHead(status, head).end(body);
  };
const document = (changes: Json): RequestListener => says(200, JSON.stringify({ ...metadata, ...changes }));
const gone = says(404, '{}');

/** What a browser that asks for JSON is told on opening a link. */
async function open(provider = 'crm'): Promise<Answer> {
  return ask('GET', await scene.link('1', provider, fresh), { accept: 'application/json' });
}

const requestsOf = (path: string): number => scene.server.paths.filter((asked) => asked === path).length;

describe('discovery', () => {
  it('finds every endpoint from the issuer alone, by asking once', async () => {
    const { id } = await scene.connect('1', 'crm', fresh);
    expect(await scene.renew('1', 'crm', fresh)).toMatchObject({ token_version: 2 });
    const { body } = await scene.api('DELETE', `/v1/connections/${String(id)}`, undefined, fresh);
    expect(body).toEqual({ upstream: 'revoked', token_valid_until: null });
    expect(scene.server.paths.filter((path) => path.startsWith('/.well-known/'))).toEqual([OPENID]);
  });

  it('looks in the other place where a server that is no OpenID Provider keeps it', async () => {
    publish(gone, OPENID);
    publish(document({}), OAUTH);
    await scene.connect('1', 'crm', fresh);
    expect(scene.server.paths.slice(0, 2)).toEqual([OPENID, OAUTH]);
  });

  const REFUSED = 'metadata_refused';
  it.each<[string, () => RequestListener, string]>([
    ['is of another issuer', () => document({ issuer: elsewhereUrl() }), REFUSED],
    ['is of an issuer below this one', () => document({ issuer: `${scene.server.url}/other` }), REFUSED],
    ['names no issuer', () => document({ issuer: undefined }), REFUSED],
    [
      'has its token endpoint elsewhere',
      () => document({ token_endpoint: `${elsewhereUrl()}/token` }),
      REFUSED,
    ],
    [
      'has its authorization endpoint elsewhere',
      () => document({ authorization_endpoint: `${elsewhereUrl()}/auth` }),
      REFUSED,
    ],
    [
      'has its token endpoint on the same host by another port',
      () => document({ token_endpoint: 'http://127.0.0.1:9/token' }),
      REFUSED,
    ],
    ['names no token endpoint', () => document({ token_endpoint: undefined }), REFUSED],
    ['names a token endpoint that is no address', () => document({ token_endpoint: '/token' }), REFUSED],
    ['is a page', () => says(200, '<html></html>', { 'content-type': 'text/html' }), REFUSED],
    ['is a list', () => says(200, '[]'), REFUSED],
    ['redirects', () => says(302, '', { location: `${elsewhereUrl()}${OPENID}` }), 'redirected'],
    ['is not there', () => gone, 'endpoint_gone'],
  ])('is refused where the document %s, and nothing is sent elsewhere', async (_what, listener, code) => {
    const { id } = await scene.connect('2');
    scene.server.forget();
    publish(listener());
    expect(await open()).toMatchObject({ status: 502, body: { code: 'provider_misconfigured' } });
    const untouched = { id, status: 'active', token_version: 1, last_error: code };
    expect(await scene.renew('2', 'crm', fresh)).toMatchObject(untouched);
    expect(visits).toEqual([]);
    expect(scene.server.paths.filter((path) => !path.startsWith('/.well-known/'))).toEqual([]);
  });

  it('is tried again: once the document is right, the grant that waited is renewed', async () => {
    await scene.connect('1');
    publish(document({ issuer: elsewhereUrl() }));
    await scene.renew('1', 'crm', fresh);
    scene.server.forget();
    await scene.world.advance(31);
    expect(await scene.renew('1', 'crm', fresh)).toMatchObject({ token_version: 2, last_error: null });
  });

  it('lets a grant wait while the server is away, and blames nobody', async () => {
    await scene.connect('1');
    scene.server.isDown = true;
    expect(await open()).toMatchObject({ status: 503, body: { code: 'provider_unavailable' } });
    const waiting = { status: 'active', last_error: 'connection_lost', token_version: 1 };
    expect(await scene.renew('1', 'crm', fresh)).toMatchObject(waiting);
    scene.server.forget();
    expect(await scene.renew('1', 'crm', fresh)).toMatchObject({ token_version: 2 });
  });

  it('tells a revocation endpoint elsewhere nothing, and says honestly that the token lives on', async () => {
    publish(document({ revocation_endpoint: `${elsewhereUrl()}/revoke` }));
    const { id, expires_at } = await scene.connect('1', 'crm', fresh);
    const { body } = await scene.api('DELETE', `/v1/connections/${String(id)}`, undefined, fresh);
    expect(body).toEqual({ upstream: 'unsupported', token_valid_until: expires_at });
    expect(visits).toEqual([]);
  });
});

describe('endpoints that are written one by one', () => {
  it.each([
    ['elsewhere', elsewhereUrl],
    ['at the issuer', () => scene.server.url],
  ])('win over those that are discovered %s', async (_where, origin) => {
    const wrong = `${origin()}/wrong`;
    publish(document({ authorization_endpoint: wrong, token_endpoint: wrong, revocation_endpoint: wrong }));
    const { id } = await scene.connect('1', 'written', fresh);
    const { body } = await scene.api('DELETE', `/v1/connections/${String(id)}`, undefined, fresh);
    expect(body).toMatchObject({ upstream: 'revoked' });
    expect([visits, requestsOf('/wrong')]).toEqual([[], 0]);
  });

  it('leave it to the issuer to say who must have answered', async () => {
    const browser = new Browser();
    const begun = await browser.visit(await scene.link('1', 'written', fresh));
    const agreed = await browser.follow(begun.headers.get('location') ?? '', [scene.server.host]);
    const arrival = new URL(agreed.headers.get('location') ?? '');
    arrival.searchParams.set('iss', elsewhereUrl());
    expect((await browser.visit(arrival.href)).status).toBe(400);
    expect(scene.server.tokenRequests).toEqual([]);
  });

  it('need no issuer: then nothing is discovered', async () => {
    const { id } = await scene.connect('1', 'complete', fresh);
    await scene.api('DELETE', `/v1/connections/${String(id)}`, undefined, fresh);
    expect(scene.server.paths.filter((path) => path.startsWith('/.well-known/'))).toEqual([]);
    expect(requestsOf('/token/revocation')).toBe(2);
  });
});

describe('what was discovered', () => {
  it('is asked for again after an hour, and used from then on', async () => {
    await scene.connect('1', 'crm', fresh);
    await scene.world.advance(3_000);
    await scene.renew('1', 'crm', fresh);
    expect(requestsOf(OPENID)).toBe(1);
    publish(document({ token_endpoint: `${scene.server.url}/moved` }));
    await scene.world.advance(700);
    await eventually(async () => {
      await scene.renew('1', 'crm', fresh);
      return requestsOf('/moved') > 0;
    });
    expect(requestsOf(OPENID)).toBe(2);
  });

  it.each<[string, () => RequestListener]>([
    ['gone', () => gone],
    ['broken', () => says(500, '{}')],
    ['of somebody else', () => document({ issuer: elsewhereUrl() })],
    // Longer than the provider's timeout leaves of the lease.
    ['never answered', () => () => undefined],
  ])('outlives an outage in which the document is %s', async (_what, listener) => {
    await scene.connect('1', 'crm', fresh);
    publish(listener());
    for (const version of [2, 3, 4]) {
      await scene.world.advance(3_700);
      expect(await scene.renew('1', 'crm', fresh)).toMatchObject({
        token_version: version,
        last_error: null,
      });
    }
    expect(requestsOf(OPENID)).toBeGreaterThan(1);
    expect(scene.server.tokenRequests).toHaveLength(4);
  });

  it('is looked for once a minute and no more while it is gone', async () => {
    await scene.connect('1', 'crm', fresh);
    publish(gone);
    await scene.world.advance(3_700);
    const looks = async (): Promise<number> => {
      for (let again = 0; again < 3; again += 1) await scene.renew('1', 'crm', fresh);
      return requestsOf(OPENID);
    };
    expect(await looks()).toBe(2);
    await scene.world.advance(61);
    expect(await looks()).toBe(3);
  });
});
