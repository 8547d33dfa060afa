import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Answer } from '../support/http.js';
import { CLIENT_SECRET, useOidcScene } from '../support/oidc-scene.js';

/** Characters that stand for themselves in one way of writing a client down, and for others in another. */
const AWKWARD_ID = 'a client:+%2F';
const AWKWARD_SECRET = 'test-secret +plus%25:/?&=~"<|>\\';
const NEW_SECRET = 'test-secret-that-is-new';

/** A provider of the file whose client is `credentials`. */
const provider = (name: string, credentials: string): string => `
  ${name}:
    kind: oauth2
    issuer: \${OIDC_ISSUER}
    ${credentials.trim().replaceAll('\n', '\n    ')}
    scopes: [openid, offline_access]
    authorize_params: { prompt: consent }
    rotation: strict
`;

const AWKWARD = 'client_id: ${AWKWARD_ID}\nclient_secret: ${AWKWARD_SECRET}';
const scene = useOidcScene(
  [
    provider('crm', 'client_id: crm\nclient_secrets: ["${NEW_SECRET}", "${CRM_CLIENT_SECRET}"]'),
    provider('raw', 'client_id: raw\nclient_secret: ${AWKWARD_SECRET}\nclient_auth: basic'),
    provider('encoded', `${AWKWARD}\nclient_auth: basic_encoded`),
    provider('posted', 'client_id: posted\nclient_secret: ${AWKWARD_SECRET}\nclient_auth: body'),
    `
  robot:
    kind: oauth2
    issuer: \${OIDC_ISSUER}
    client_id: robot
    client_secret: \${CRM_CLIENT_SECRET}
    grant: client_credentials
    scopes: [orders, products]
`,
  ].join(''),
  { environment: { AWKWARD_ID, AWKWARD_SECRET, NEW_SECRET } },
);

beforeEach(async () => {
  await scene.world.sql('truncate connections, provider_states, credential_proofs');
});

/** How the token requests went: what was asked for, and what was wrong with it. */
const requests = (): unknown[] =>
  scene.server.tokenRequests.map(({ grantType, error }) => (error === null ? grantType : error));

describe('a client', () => {
  beforeAll(async () => {
    await scene.register('encoded', { client_id: AWKWARD_ID, client_secret: AWKWARD_SECRET });
    for (const name of ['raw', 'posted']) await scene.register(name, { client_secret: AWKWARD_SECRET });
  });

  it('proves itself in a header that is form-encoded first (RFC 6749 2.3.1)', async () => {
    await scene.connect('1', 'encoded');
    expect(await scene.renew('1', 'encoded')).toMatchObject({ token_version: 2 });
    const asked = { clientId: AWKWARD_ID, authentication: 'header', error: null };
    expect(scene.server.tokenRequests).toMatchObject([asked, asked]);
  });

  it('is refused with such a secret where the header is not encoded: the registration is at fault, no grant', async () => {
    const arrived = await scene.follow(await scene.link('1', 'raw'));
    expect(arrived.status).toBe(502);
    expect(requests()).toEqual(['invalid_client']);
  });

  it('proves itself in the body', async () => {
    await scene.connect('1', 'posted');
    expect(await scene.renew('1', 'posted')).toMatchObject({ token_version: 2 });
    const asked = { clientId: 'posted', authentication: 'body', error: null };
    expect(scene.server.tokenRequests).toMatchObject([asked, asked]);
  });
});

describe('a list of client secrets', () => {
  beforeEach(() => scene.register('crm'));

  it('carries a grant over the moment at which the server changes from the old to the new', async () => {
    await scene.connect('1');
    expect(requests()).toEqual(['invalid_client', 'authorization_code']);
    await scene.renew('1');
    // What was accepted last is tried first.
    expect(requests().slice(2)).toEqual(['refresh_token']);

    await scene.register('crm', { client_secret: NEW_SECRET });
    expect(await scene.renew('1')).toMatchObject({ token_version: 3, status: 'active', last_error: null });
    expect(await scene.renew('1')).toMatchObject({ token_version: 4 });
    expect(requests().slice(3)).toEqual(['invalid_client', 'refresh_token', 'refresh_token']);
    expect(await scene.isAccepted(await scene.token('1'))).toBe(true);
  });

  it('none of which the server knows makes nothing die: the token is served, and renewed once one is right', async () => {
    await scene.connect('1');
    await scene.register('crm', { client_secret: 'test-secret-of-nobody' });
    expect(await scene.renew('1')).toMatchObject({
      status: 'active',
      token_version: 1,
      last_error: 'client_refused',
    });
    expect((await scene.token('1')).body).toMatchObject({ version: 1, stale: true });
    await scene.register('crm');
    await scene.world.advance(31);
    expect(await scene.renew('1')).toMatchObject({ token_version: 2, last_error: null });
  });
});

describe('client credentials', () => {
  const TOKENS = '/v1/connections/robot/companies/1';
  beforeEach(() => scene.register('robot', ROBOT));

  const keep = (body: unknown = {}): Promise<Answer> => scene.api('PUT', TOKENS, body);

  async function isActive({ body }: Answer): Promise<unknown> {
    const client = { client_id: 'robot', client_secret: CLIENT_SECRET };
    const told = await scene.server.ask('/token/introspection', {
      ...client,
      token: String(body['access_token']),
    });
    return told.body['active'];
  }

  it('need nothing to be told, and are proven by a token', async () => {
    const kept = await keep();
    expect(kept).toMatchObject({
      status: 201,
      body: { token_version: 1, status: 'active', scopes: ['orders', 'products'], rotate_by: null },
    });
    const served = await scene.token('1', 'robot');
    expect(served.body).toMatchObject({ version: 1, scopes: ['orders', 'products'] });
    expect(await isActive(served)).toBe(true);
    expect(requests()).toEqual(['client_credentials']);
  });

  it('are renewed by minting again', async () => {
    await keep();
    const [first] = [await scene.token('1', 'robot')];
    await scene.world.advance(3_601);
    const second = await scene.token('1', 'robot');
    expect(second.body).toMatchObject({ version: 2, stale: false });
    expect(second.body['access_token']).not.toBe(first.body['access_token']);
    expect(await isActive(second)).toBe(true);
    expect(requests()).toEqual(['client_credentials', 'client_credentials']);
    expect(scene.server.tokenRequests.map(({ presented }) => presented)).toEqual([null, null]);
  });

  it('that are kept again bring the next version', async () => {
    await keep();
    expect(await keep()).toMatchObject({ status: 200, body: { token_version: 2 } });
  });

  it('with a wrong secret are a mistake of the registration, and keep nothing', async () => {
    await scene.register('robot', { ...ROBOT, client_secret: 'test-secret-of-nobody' });
    expect(await keep()).toMatchObject({ status: 502, body: { code: 'provider_misconfigured' } });
    expect(await scene.world.sql('select 1 from connections')).toEqual([]);
    await scene.register('robot', ROBOT);
    expect((await keep()).status).toBe(201);
  });

  it('whose secret becomes wrong let nothing die', async () => {
    await keep();
    await scene.register('robot', { ...ROBOT, client_secret: 'test-secret-of-nobody' });
    expect(await scene.renew('1', 'robot')).toMatchObject({ status: 'active', last_error: 'client_refused' });
    expect((await keep()).status).toBe(502);
    expect((await scene.token('1', 'robot')).body).toMatchObject({ version: 1, stale: true });
    await scene.world.advance(3_601);
    expect(await scene.token('1', 'robot')).toMatchObject({
      status: 502,
      body: { code: 'provider_misconfigured' },
    });
    await scene.register('robot', ROBOT);
    await scene.world.advance(31);
    expect((await scene.token('1', 'robot')).body).toMatchObject({ version: 2, stale: false });
  });

  it('end at the server, too, when the connection is revoked', async () => {
    const { body } = await keep();
    const served = await scene.token('1', 'robot');
    expect((await scene.api('DELETE', `/v1/connections/${String(body['id'])}`)).body).toEqual({
      upstream: 'revoked',
      token_valid_until: null,
    });
    expect(await isActive(served)).toBe(false);
  });

  it('take no grant, and no consent', async () => {
    expect((await keep({ refresh_token: 'test-secret-of-somebody' })).status).toBe(400);
    expect((await scene.api('POST', `${TOKENS}/authorize-link`, {})).status).toBe(400);
  });
});

/** The registration of a client that has nobody to redirect. */
const ROBOT = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };
