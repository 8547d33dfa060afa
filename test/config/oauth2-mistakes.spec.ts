import { describe, expect, it } from '@jest/globals';
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

const lines = (crm: Json, variables: Record<string, string> = {}): readonly string[] =>
  mistakes(() => reader.read({ crm }, variables));

describe('an OAuth 2 provider', () => {
  const ADDRESS = 'must be an http(s) address without user, query or fragment';
  const ENDPOINT = 'must be an http(s) address without user or fragment';
  const HOW = 'needs issuer, or authorize_url and token_url (token_url alone for client_credentials)';
  const GRACE = 'rotation_grace must lie between 1s and 1d';
  const ROTATE = 'rotate_after must lie between 1d and 3650d';
  const token_url = 'https://idp.example/token';
  it.each<[Json, string]>([
    [OPEN, 'needs either client_secret or client_secrets'],
    [
      { ...CRM, client_secrets: ['test-secret-other'] },
      'needs either client_secret or client_secrets, not both',
    ],
    [{ ...CRM, client_secret: '' }, 'client_secret should not be empty'],
    [{ ...OPEN, client_secrets: 'test-secret-text' }, 'client_secrets must be an array'],
    [{ ...CRM, client_id: '' }, 'client_id should not be empty'],
    [NOWHERE, HOW],
    [{ ...NOWHERE, token_url }, HOW],
    [{ ...NOWHERE, authorize_url: 'https://idp.example/authorize' }, HOW],
    [{ ...NOWHERE, issuer: '${UNSET:-}', token_url: '${UNSET:-}' }, HOW],
    [{ ...CRM, issuer: 'idp.example' }, `issuer ${ADDRESS}`],
    [{ ...CRM, issuer: 'https://idp.example?a=test-secret' }, `issuer ${ADDRESS}`],
    [{ ...CRM, token_url: 'https://u:test-secret@idp.example/token' }, `token_url ${ENDPOINT}`],
    [{ ...CRM, authorize_url: 'https://idp.example/#test-secret' }, `authorize_url ${ENDPOINT}`],
    [{ ...CRM, revocation_url: 'revoke' }, `revocation_url ${ENDPOINT}`],
    [{ ...CRM, base_url: 'https://a.b.0x' }, `base_url ${ADDRESS}`],
    [
      { ...CRM, client_auth: 'post' },
      'client_auth must be one of the following values: basic, basic_encoded, body',
    ],
    [{ ...CRM, body: 'xml' }, 'body must be one of the following values: form, json'],
    [
      { ...CRM, grant: 'password' },
      'grant must be one of the following values: authorization_code, client_credentials',
    ],
    [{ ...CRM, scope_separator: ';' }, 'scope_separator must be one of the following values:  , ,'],
    [{ ...CRM, pkce: 'maybe' }, 'pkce must be a boolean value'],
    [{ ...CRM, authorize_params: ['a'] }, 'authorize_params must be an object'],
    [{ ...CRM, authorize_params: { a: null } }, 'authorize_params: a must be a text'],
    [{ ...CRM, token_params: { a: { b: 'test-secret' } } }, 'token_params: a must be a text'],
    [
      { ...CRM, header: 'Authorization' },
      'header must be a map like { name: Authorization, scheme: Bearer }',
    ],
    [
      { ...CRM, header: [{ name: 'X' }] },
      'header must be a map like { name: Authorization, scheme: Bearer }',
    ],
    [{ ...CRM, header: { scheme: 'Bearer' } }, 'header.name must be the name of a header'],
    [{ ...CRM, header: { name: 'X Y' } }, 'header.name must be the name of a header'],
    [{ ...CRM, header: { name: 'X', scheme: 'a b' } }, 'header.scheme must be a scheme like Bearer'],
    [{ ...CRM, header: { name: 'X', value: 'test-secret' } }, 'header.value is no setting of this kind'],
    [
      { ...CRM, rotation: 'often' },
      'rotation must be one of the following values: none, grace, strict, unknown',
    ],
    [{ ...CRM, rotation: 'grace', rotation_grace: 'long' }, 'rotation_grace must be a duration like 30s'],
    [{ ...CRM, rotation: 'grace', rotation_grace: '0s' }, GRACE],
    [{ ...CRM, rotation: 'grace', rotation_grace: '25h' }, GRACE],
    [{ ...CRM, rotation_grace: '30s' }, 'rotation_grace needs rotation: grace'],
    [{ ...CRM, dead_grant_codes: 'GONE' }, 'dead_grant_codes must be an array'],
    [{ ...CRM, renew_between: [0.6, 1] }, 'renew_between must not be greater than 0.95'],
    [{ ...CRM, token_ttl: 0 }, 'token_ttl must not be less than 1'],
    [{ ...CRM, rotate_after: 'quarterly' }, 'rotate_after must be a duration like 90d'],
    [{ ...CRM, rotate_after: '23h' }, ROTATE],
    [{ ...CRM, rotate_after: '3651d' }, ROTATE],
    [{ ...CRM, rotate_after: '999999999d' }, ROTATE],
  ])('refuses %j in one line, without a secret', (provider, line) => {
    expect(lines(provider)).toEqual([`provider "crm": ${line}`]);
    expect(line).not.toContain('test-secret');
  });

  it('sends what the protocol says, whatever the file adds', () => {
    const own = [
      'client_id',
      'client_secret',
      'redirect_uri',
      'response_type',
      'scope',
      'state',
      'code_challenge',
    ];
    for (const field of ['authorize_params', 'token_params'])
      for (const name of [
        ...own,
        'code_challenge_method',
        'code_verifier',
        'code',
        'grant_type',
        'refresh_token',
      ])
        expect(lines({ ...CRM, [field]: { [name]: 'test-secret' } })).toEqual([
          `provider "crm": ${field}: ${name} is the protocol's own`,
        ]);
  });

  it('is told apart by client_id and base_url', () => {
    const twins = (other: Json): readonly string[] => mistakes(() => reader.read({ one: CRM, two: other }));
    const line = ['providers "one" and "two" have the same client_id and base_url'];
    expect(twins({ ...CRM, client_secret: 'test-secret-2' })).toEqual(line);
    const byHand = {
      ...NOWHERE,
      authorize_url: 'https://IDP.example/a',
      token_url: 'https://idp.example:443/t',
    };
    expect(twins(byHand)).toEqual(line);
    expect(
      twins({ ...NOWHERE, token_url, authorize_url: token_url, base_url: 'https://IDP.example/' }),
    ).toEqual(line);
    expect(twins({ ...CRM, client_id: 'client-2' })).toEqual([]);
    expect(twins({ ...CRM, base_url: 'https://api.example' })).toEqual([]);
    expect(twins({ ...CRM, issuer: 'https://other.example' })).toEqual([]);
    const fynd = {
      kind: 'fynd-platform',
      base_url: 'https://idp.example',
      api_key: 'client-1',
      api_secret: 'x',
    };
    expect(twins(fynd)).toEqual([]);
  });

  describe('in production', () => {
    const FIELDS = ['issuer', 'authorize_url', 'token_url', 'revocation_url', 'base_url'];
    it.each(FIELDS)('is not to have a plain http or private %s, unless that is meant', (field) => {
      const http = `provider "crm": ${field} is plain http, which would show every secret on the way: use https, or set ALLOW_INSECURE_HTTP=true`;
      expect(lines({ ...CRM, [field]: 'http://idp.example' })).toEqual([http]);
      expect(lines({ ...CRM, [field]: 'http://idp.example' }, { ALLOW_INSECURE_HTTP: 'true' })).toEqual([]);
      const away = { ...CRM, [field]: 'https://169.254.169.254' };
      expect(lines(away)).toEqual([
        `provider "crm": ${field} is a private address: set allow_private: true if that is meant`,
      ]);
      expect(lines({ ...away, allow_private: true })).toEqual([]);
      expect(lines(away, { NODE_ENV: 'development' })).toEqual([]);
      expect(lines({ ...CRM, [field]: 'http://127.0.0.1:9000' })).toEqual([]);
    });
  });
});
