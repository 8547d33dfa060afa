import { describe, expect, it } from '@jest/globals';
import type { OAuth2Settings } from '../../src/config/provider-settings.js';
import type { Json } from '../support/http.js';
import { mistakes, useProvidersReader } from '../support/providers-reader.js';

const reader = useProvidersReader();
const CRM = {
  kind: 'oauth2',
  issuer: 'https://idp.example',
  client_id: 'client-1',
  client_secret: 'test-secret-crm',
};
const NOWHERE = { ...CRM, issuer: undefined };
const OPEN = { ...CRM, client_secret: undefined };

function read(crm: Json, variables: Record<string, string> = {}): OAuth2Settings {
  const [provider] = reader.read({ crm }, variables).providers;
  if (provider?.kind !== 'oauth2') throw new Error('crm is disabled');
  return provider;
}
const lines = (crm: Json, variables: Record<string, string> = {}): readonly string[] =>
  mistakes(() => read(crm, variables));
const secrets = ({ clientSecrets }: OAuth2Settings): string[] =>
  clientSecrets.current.map((secret) => secret.reveal());

describe('an OAuth 2 provider', () => {
  it('takes a default for everything that the file does not say', () => {
    const settings = read(CRM);
    expect(secrets(settings)).toEqual(['test-secret-crm']);
    expect({ ...settings, clientSecrets: null }).toEqual({
      name: 'crm',
      kind: 'oauth2',
      baseUrl: 'https://idp.example',
      issuer: 'https://idp.example',
      authorizeUrl: null,
      tokenUrl: null,
      revocationUrl: null,
      clientId: 'client-1',
      clientSecrets: null,
      clientAuth: 'basic',
      body: 'form',
      grant: 'authorization_code',
      scopes: [],
      scopeSeparator: ' ',
      pkce: true,
      authorizeParams: {},
      tokenParams: {},
      refreshWithRedirectUri: false,
      tokenTtlSeconds: 3_600,
      header: { name: 'Authorization', scheme: 'Bearer' },
      uiUrl: null,
      rotation: 'unknown',
      deadGrantCodes: [],
      clientErrorCodes: [],
      graceSeconds: 30,
      rotateAfterSeconds: 90 * 86_400,
      timeoutMs: 10_000,
      ratePerSecond: 50,
      concurrency: 20,
      renewBetween: [0.6, 0.8],
      allowPrivate: false,
      publicUrl: 'http://127.0.0.1:8081',
    });
  });

  it('loads as the documentation of the file has it', () => {
    const sample = `
providers:
  crm:
    kind: oauth2
    issuer: https://idp.example          # discovery; or authorize_url, token_url, revocation_url one by one
    client_id: \${CRM_CLIENT_ID}
    client_secret: \${CRM_CLIENT_SECRET}  # or client_secrets: [new, old], tried in order
    client_auth: basic                   # basic (raw base64(id:secret)) | basic_encoded (RFC 6749 2.3.1) | body
    body: form                           # form | json
    grant: authorization_code            # authorization_code | client_credentials
    scopes: [openid, offline_access]
    scope_separator: " "
    pkce: true
    authorize_params: { prompt: consent }
    header: { name: Authorization, scheme: Bearer }
    # shared by all kinds
    rotation: unknown                    # none | grace | strict | unknown
    dead_grant_codes: []                 # body codes that mean the same as invalid_grant
    timeout: 10s
    rate: 50/s
    concurrency: 20
    renew_between: [0.6, 0.8]            # of the token's lifetime
    allow_private: false                 # private addresses in production (loopback is always allowed)
    public_url: https://crm-ext.example  # default PUBLIC_URL
`;
    const variables = { CRM_CLIENT_ID: 'client-1', CRM_CLIENT_SECRET: 'test-secret-crm' };
    expect(reader.readFile(sample, variables).providers).toMatchObject([
      {
        issuer: 'https://idp.example',
        clientId: 'client-1',
        scopes: ['openid', 'offline_access'],
        authorizeParams: { prompt: 'consent' },
        publicUrl: 'https://crm-ext.example',
      },
    ]);
    expect(reader.readFile(sample).disabledProviders).toEqual([
      { name: 'crm', missing: ['CRM_CLIENT_ID', 'CRM_CLIENT_SECRET'] },
    ]);
  });

  it('is as the file says', () => {
    const written = {
      ...NOWHERE,
      base_url: 'https://api.example/v1/',
      authorize_url: 'https://idp.example/authorize?tenant=1',
      token_url: 'https://idp.example/token',
      revocation_url: 'https://idp.example/revoke',
      client_auth: 'body',
      body: 'json',
      scopes: 'a, b',
      scope_separator: ',',
      pkce: false,
      authorize_params: { prompt: 'consent', max_age: 60, offline: true },
      token_params: { audience: 'https://api.example' },
      refresh_with_redirect_uri: true,
      token_ttl: '120',
      header: { name: 'X-Token', scheme: 'Token' },
      ui_url: 'https://ui.example/',
      dead_grant_codes: [4012, 'GONE'],
      client_error_codes: [2032],
      rotate_after: '30d',
    };
    expect(read(written)).toMatchObject({
      baseUrl: 'https://api.example/v1',
      issuer: null,
      authorizeUrl: 'https://idp.example/authorize?tenant=1',
      tokenUrl: 'https://idp.example/token',
      revocationUrl: 'https://idp.example/revoke',
      clientAuth: 'body',
      body: 'json',
      scopes: ['a', 'b'],
      scopeSeparator: ',',
      pkce: false,
      authorizeParams: { prompt: 'consent', max_age: '60', offline: 'true' },
      tokenParams: { audience: 'https://api.example' },
      refreshWithRedirectUri: true,
      tokenTtlSeconds: 120,
      header: { name: 'X-Token', scheme: 'Token' },
      uiUrl: 'https://ui.example',
      deadGrantCodes: ['4012', 'GONE'],
      clientErrorCodes: ['2032'],
      rotateAfterSeconds: 30 * 86_400,
    });
  });

  it('with client credentials needs a token_url alone, and its grant can be sent twice', () => {
    const minted = { ...NOWHERE, grant: 'client_credentials', token_url: 'https://idp.example/token' };
    expect(read(minted)).toMatchObject({ grant: 'client_credentials', rotation: 'none' });
    expect(read({ ...minted, rotation: 'strict' }).rotation).toBe('strict');
  });

  it('sends the bare token in any header but Authorization, unless a scheme is given', () => {
    const header = (written: Json): unknown => read({ ...CRM, header: written }).header;
    expect(header({ name: 'authorization' })).toEqual({ name: 'authorization', scheme: 'Bearer' });
    expect(header({ name: 'X-Token' })).toEqual({ name: 'X-Token', scheme: '' });
    expect(header({ name: 'Authorization', scheme: '' })).toEqual({ name: 'Authorization', scheme: '' });
  });

  it('tries several secrets in order, without those whose variable is not set', () => {
    const several = { ...OPEN, client_secrets: ['${NEW}', '${OLD:-}'] };
    expect(secrets(read(several, { NEW: 'test-secret-n', OLD: 'test-secret-o' }))).toEqual([
      'test-secret-n',
      'test-secret-o',
    ]);
    expect(secrets(read(several, { NEW: 'test-secret-n' }))).toEqual(['test-secret-n']);
    const none = { ...OPEN, client_secrets: ['${NEW:-}', '${OLD:-}'] };
    expect(lines(none)).toEqual(['provider "crm": client_secrets must contain at least 1 elements']);
  });

  it('may last up to ten years without another secret', () => {
    expect(read({ ...CRM, rotation: 'grace', rotation_grace: '2m' }).graceSeconds).toBe(120);
    expect(read({ ...CRM, rotate_after: '1d' }).rotateAfterSeconds).toBe(86_400);
    expect(read({ ...CRM, rotate_after: '3650d' }).rotateAfterSeconds).toBe(3_650 * 86_400);
  });
});
