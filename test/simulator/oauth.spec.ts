import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { landing, type Told, told, useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();
const oauth = simulator.oauth('oauth2');

const basic = (id: string, secret: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});
const outcome = ({ status, body }: Told): string =>
  `${status} ${'error' in body ? String(body['error']) : 'ok'}`;

describe('a standard OAuth 2 consent', () => {
  it('approves, asks or denies, and brings the state back', async () => {
    const approved = landing(await oauth.authorize());
    expect([approved.get('code'), approved.get('state')]).toEqual([
      expect.stringContaining('simulated-secret'),
      'state-1',
    ]);
    await simulator.settings('oauth2', { consent: 'deny' });
    const denied = landing(await oauth.authorize());
    expect([denied.get('error'), denied.get('code'), denied.get('state')]).toEqual([
      'access_denied',
      null,
      'state-1',
    ]);
    await simulator.settings('oauth2', { consent: 'ask' });
    const page = await oauth.authorize({}, 'simulated_user=<ann>');
    expect([page.status, await page.text()]).toEqual([
      200,
      expect.stringMatching(/&#60;ann&#62;.*decision=approve/s),
    ]);
    expect(await oauth.consent({ decision: 'approve' })).toMatch('simulated-secret');
  });

  it('sends nobody to an address that it cannot trust, and tells the client of other mistakes', async () => {
    for (const wrong of [
      { client_id: 'x' },
      { redirect_uri: '/callback' },
      { redirect_uri: 'javascript:0' },
    ]) {
      expect((await oauth.authorize(wrong as Record<string, string>)).status).toBe(400);
    }
    const mistakes = [
      { response_type: 'token' },
      { code_challenge: 'x', code_challenge_method: 'plain' },
      { code_challenge: 'x' },
    ];
    const told = [];
    for (const query of mistakes) told.push(landing(await oauth.authorize(query)));
    expect(told.map((query) => query.get('error'))).toEqual([
      'unsupported_response_type',
      'invalid_request',
      'invalid_request',
    ]);
  });
});

describe('a standard OAuth 2 code', () => {
  it('brings a token with a type, a lifetime and scopes, and a refresh token', async () => {
    const { headers, body } = await oauth.exchange(await oauth.consent());
    expect(body).toEqual({
      access_token: expect.stringContaining('simulated-secret'),
      refresh_token: expect.stringContaining('simulated-secret'),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read write',
    });
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('is good once, for ten minutes, with the redirect_uri of its consent', async () => {
    const code = await oauth.consent();
    expect(outcome(await oauth.exchange(code, { redirect_uri: 'http://127.0.0.1:8081/other' }))).toBe(
      '400 invalid_grant',
    );
    expect(outcome(await oauth.post({ grant_type: 'authorization_code', code }))).toBe('400 invalid_request');
    expect(outcome(await oauth.exchange(code))).toBe('200 ok');
    expect(outcome(await oauth.exchange('made-up'))).toBe('400 invalid_grant');
    const late = await oauth.consent();
    await simulator.control('POST', 'clock', { advance_s: 601 });
    expect(outcome(await oauth.exchange(late))).toBe('400 invalid_grant');
  });

  it('ends the grant when it comes a second time', async () => {
    const { code, access, refresh } = await oauth.grant();
    expect(outcome(await oauth.exchange(code))).toBe('400 invalid_grant');
    expect((await oauth.resource(access)).status).toBe(401);
    expect(outcome(await oauth.renew(refresh))).toBe('400 invalid_grant');
  });

  it('with a challenge needs its verifier', async () => {
    const code_verifier = 'v'.repeat(43);
    const code_challenge = createHash('sha256').update(code_verifier).digest('base64url');
    const proof = { code_challenge, code_challenge_method: 'S256' };
    const code = await oauth.consent(proof);
    expect(outcome(await oauth.exchange(code))).toBe('400 invalid_grant');
    expect(outcome(await oauth.exchange(code, { code_verifier: 'w'.repeat(43) }))).toBe('400 invalid_grant');
    expect(outcome(await oauth.exchange(code, { code_verifier }))).toBe('200 ok');
    expect(outcome(await oauth.exchange(await oauth.consent(), { code_verifier }))).toBe('400 invalid_grant');
    await simulator.settings('oauth2', { require_pkce: true });
    expect(landing(await oauth.authorize()).get('error')).toBe('invalid_request');
    expect(landing(await oauth.authorize(proof)).get('error')).toBeNull();
  });
});

describe('a standard OAuth 2 grant', () => {
  it('is renewed, with fewer scopes but never with more', async () => {
    const { access, refresh } = await oauth.grant();
    const renewed = await oauth.renew(refresh, { scope: 'read' });
    expect([renewed.body['scope'], renewed.body['refresh_token']]).toEqual(['read', refresh]);
    expect(outcome(await oauth.renew(refresh, { scope: 'read admin' }))).toBe('400 invalid_scope');
    expect((await oauth.resource(access)).body).toEqual({
      ok: true,
      company_id: null,
      username: 'simulated-user',
      grant_id: 'oauth2-grant-1',
      scope: ['read', 'write'],
    });
    await simulator.settings('oauth2', { omit_refresh_token: true });
    expect((await oauth.renew(refresh)).body).not.toHaveProperty('refresh_token');
  });

  it('ends as a whole when a rotated refresh token comes again, and leaves others alone', async () => {
    await simulator.settings('oauth2', { rotation: 'strict' });
    const [stolen, other] = [await oauth.grant(), await oauth.grant()];
    const next = (await oauth.renew(stolen.refresh)).body;
    expect(next['refresh_token']).not.toBe(stolen.refresh);
    expect(outcome(await oauth.renew(stolen.refresh))).toBe('400 invalid_grant');
    expect((await simulator.ledger('?limit=1')).entries[0]).toMatchObject({
      reused: true,
      grant_id: 'oauth2-grant-1',
    });
    expect(outcome(await oauth.renew(String(next['refresh_token'])))).toBe('400 invalid_grant');
    for (const token of [stolen.access, String(next['access_token'])]) {
      expect((await oauth.resource(token)).status).toBe(401);
    }
    expect((await oauth.resource(other.access)).status).toBe(200);
    expect(outcome(await oauth.renew(other.refresh))).toBe('200 ok');
  });

  it('lets two renewals within grace end with the same refresh token', async () => {
    await simulator.settings('oauth2', { rotation: 'grace', grace_s: 10 });
    const { refresh } = await oauth.grant();
    const [first, second] = [await oauth.renew(refresh), await oauth.renew(refresh)];
    expect(second.body['refresh_token']).toBe(first.body['refresh_token']);
    await simulator.control('POST', 'clock', { advance_s: 11 });
    expect(outcome(await oauth.renew(refresh))).toBe('400 invalid_grant');
  });

  it('can be revoked: the access token alone, or everything with the refresh token', async () => {
    const { access, refresh } = await oauth.grant();
    const other = String((await oauth.renew(refresh)).body['access_token']);
    expect((await oauth.revoke(access)).status).toBe(200);
    expect((await oauth.resource(access)).status).toBe(401);
    expect((await oauth.resource(other)).status).toBe(200);
    expect((await oauth.revoke(refresh)).status).toBe(200);
    expect((await oauth.resource(other)).status).toBe(401);
    expect(outcome(await oauth.renew(refresh))).toBe('400 invalid_grant');
    expect((await oauth.revoke('made-up')).status).toBe(200);
    expect((await oauth.send('/oauth2/revoke', { token: refresh }, { authorization: '' })).status).toBe(401);
    expect((await simulator.ledger('?operation=revoke')).entries[1]).toMatchObject({
      outcome: 'ok',
      grant_id: 'oauth2-grant-1',
    });
  });

  it('can be of the client itself, which has nothing to renew', async () => {
    const { body } = await oauth.post({ grant_type: 'client_credentials', scope: 'read' });
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'read' });
    expect(body).not.toHaveProperty('refresh_token');
    expect((await oauth.resource(String(body['access_token']))).body['username']).toBe('demo-key');
    await simulator.settings('oauth2', { grants: ['authorization_code'] });
    expect(outcome(await oauth.post({ grant_type: 'client_credentials' }))).toBe(
      '400 unsupported_grant_type',
    );
  });
});

describe('a standard OAuth 2 client', () => {
  const fields = { grant_type: 'client_credentials' };
  const secret = 'test-secret: 100% & more+';
  const encoded = basic('demo-key', 'test-secret%3A+100%25+%26+more%2B');

  it('authenticates in the header in one of two encodings, or in the body', async () => {
    await simulator.settings('oauth2', { accepted_secrets: [secret] });
    const inBody = { client_id: 'demo-key', client_secret: secret };
    expect(outcome(await oauth.post(fields, basic('demo-key', secret)))).toBe('200 ok');
    expect(outcome(await oauth.post(fields, encoded))).toBe('200 ok');
    expect(outcome(await oauth.post({ ...fields, ...inBody }, { authorization: '' }))).toBe('200 ok');
    expect(outcome(await oauth.post({ ...fields, ...inBody }, encoded))).toBe('400 invalid_request');
  });

  it('authenticates in no way that is switched off', async () => {
    await simulator.settings('oauth2', { accepted_secrets: [secret], client_auth: ['basic_encoded'] });
    const inBody = { client_id: 'demo-key', client_secret: secret };
    const refused = await oauth.post(fields, basic('demo-key', secret));
    expect([outcome(refused), refused.headers.get('www-authenticate')]).toEqual([
      '401 invalid_client',
      expect.stringMatching(/^Basic /),
    ]);
    expect(outcome(await oauth.post({ ...fields, ...inBody }, { authorization: '' }))).toBe(
      '401 invalid_client',
    );
    expect(outcome(await oauth.post(fields, encoded))).toBe('200 ok');
    await simulator.settings('oauth2', { client_auth: ['basic'] });
    expect(outcome(await oauth.post(fields, encoded))).toBe('401 invalid_client');
  });

  it('may change its secret: both are good, then only the new one', async () => {
    const tries = async (): Promise<number[]> => {
      const seen = [];
      for (const one of ['demo-secret', 'test-secret-new', 'test-secret-other'])
        seen.push((await oauth.post(fields, basic('demo-key', one))).status);
      return seen;
    };
    expect(await tries()).toEqual([200, 401, 401]);
    await simulator.settings('oauth2', { accepted_secrets: ['test-secret-new'] });
    expect(await tries()).toEqual([200, 200, 401]);
    await simulator.settings('oauth2', { first_secret: false });
    expect(await tries()).toEqual([401, 200, 401]);
  });

  it('sends a form: JSON is refused unless it is switched on', async () => {
    const send = (): Promise<Response> => oauth.send('/oauth2/token', fields, {}, 'json');
    expect((await send()).status).toBe(400);
    await simulator.settings('oauth2', { bodies: ['json'] });
    expect((await send()).status).toBe(200);
    expect((await oauth.post(fields)).status).toBe(400);
  });
});

describe("the standard provider's metadata", () => {
  it('name the origin by which the caller came as the issuer, and endpoints that are there', async () => {
    const { status, body } = await told(await simulator.get('/.well-known/oauth-authorization-server'));
    expect([status, body]).toEqual([
      200,
      {
        issuer: simulator.url,
        authorization_endpoint: `${simulator.url}/oauth2/authorize`,
        token_endpoint: `${simulator.url}/oauth2/token`,
        revocation_endpoint: `${simulator.url}/oauth2/revoke`,
        revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
        code_challenge_methods_supported: ['S256'],
      },
    ]);
    await simulator.fault({ provider: 'oauth2', operation: 'discovery', status: 503 });
    expect((await simulator.get('/.well-known/oauth-authorization-server')).status).toBe(503);
  });
});
