import { describe, expect, it } from '@jest/globals';
import { LEAST, mistakes, useProvidersReader } from '../support/providers-reader.js';
import { Replica } from '../support/replica.js';

const reader = useProvidersReader();
const shipped = (variables: Record<string, string> = {}): unknown =>
  reader.readShipped(variables).providers.filter(({ kind }) => kind !== 'portal');
const lines = (variables: Record<string, string>): readonly string[] => mistakes(() => shipped(variables));

const FYND = { FYND_API_KEY: 'k', FYND_API_SECRET: 'test-secret' };
const CONNECT = {
  CONNECT_AUTHORIZE_URL: 'https://connect.example/oAuth/authorize',
  CONNECT_TOKEN_URL: 'https://connect.example/v1/oauth2/token',
  CONNECT_CLIENT_ID: 'client-1',
  CONNECT_CLIENT_SECRET: 'test-secret-connect',
};

describe('the shipped file', () => {
  it('has four providers, of which only the portal needs nothing', () => {
    const { providers, disabledProviders } = reader.readShipped();
    expect(providers).toMatchObject([{ name: 'portal', kind: 'portal', baseUrl: null }]);
    expect(disabledProviders).toEqual([
      { name: 'fynd', missing: Object.keys(FYND) },
      { name: 'konnect', missing: ['KONNECT_BASE_URL'] },
      { name: 'connect', missing: Object.keys(CONNECT) },
    ]);
  });

  it('reads the variables of Fynd Platform', () => {
    const kind = 'fynd-platform';
    const plain = { scopes: [], accessMode: 'offline', renewal: 'auto', uiUrl: null, autoInstall: false };
    expect(shipped(FYND)).toMatchObject([{ name: 'fynd', kind, baseUrl: 'https://api.fynd.com', ...plain }]);
    const all = {
      FYND_BASE_URL: 'https://f.example',
      FYND_SCOPES: 'a,b',
      FYND_ACCESS_MODE: 'both',
      FYND_RENEWAL: 'document',
      FYND_UI_URL: 'https://ui.example',
    };
    expect(shipped({ ...FYND, ...all })).toMatchObject([
      {
        baseUrl: 'https://f.example',
        scopes: ['a', 'b'],
        accessMode: 'both',
        renewal: 'document',
        uiUrl: 'https://ui.example',
      },
    ]);
    expect(lines({ ...FYND, FYND_ACCESS_MODE: 'online' })).toEqual([
      `provider "fynd": access_mode: online needs ui_url: a user's session is handed over there`,
    ]);
  });

  it('reads the variables of Konnect', () => {
    const konnect = { KONNECT_BASE_URL: 'https://k.example' };
    expect(shipped(konnect)).toMatchObject([{ name: 'konnect', tokenTtlSeconds: 3_600 }]);
    expect(shipped({ ...konnect, KONNECT_TOKEN_TTL: '120' })).toMatchObject([
      { baseUrl: 'https://k.example', tokenTtlSeconds: 120 },
    ]);
    expect(lines({ ...konnect, KONNECT_TOKEN_TTL: 'an hour' })).toEqual([
      expect.stringMatching(/^provider "konnect": token_ttl /),
    ]);
  });

  it('reads the variables of Connect', () => {
    expect(shipped(CONNECT)).toMatchObject([
      {
        name: 'connect',
        kind: 'oauth2',
        baseUrl: 'https://connect.example',
        authorizeUrl: CONNECT.CONNECT_AUTHORIZE_URL,
        tokenUrl: CONNECT.CONNECT_TOKEN_URL,
        clientId: 'client-1',
        body: 'json',
        grant: 'authorization_code',
        scopes: ['*'],
        header: { name: 'Authorization', scheme: 'Bearer' },
        clientErrorCodes: ['2032', '2036', '2038'],
      },
    ]);
    expect(shipped({ ...CONNECT, CONNECT_SCOPES: 'read,write' })).toMatchObject([
      { scopes: ['read', 'write'] },
    ]);
  });

  it.each([
    ['', 'Authorization', 'Bearer'],
    ['authorization', 'authorization', 'Bearer'],
    ['ACCESSTOKEN', 'ACCESSTOKEN', ''],
    ['X-Authorization', 'X-Authorization', ''],
  ])('takes CONNECT_HEADER=%j for the header %s with the scheme %j', (CONNECT_HEADER, name, scheme) => {
    expect(shipped({ ...CONNECT, CONNECT_HEADER })).toMatchObject([{ header: { name, scheme } }]);
  });

  it('does not take a CONNECT_HEADER that is no header', () => {
    for (const CONNECT_HEADER of ['a b', 'Authorization: Bearer', 'ä', 'x\r\ny'])
      expect(lines({ ...CONNECT, CONNECT_HEADER })).toEqual([
        'provider "connect": header.name must be the name of a header',
      ]);
  });

  it('cannot be started with only some of the variables that Connect requires', () => {
    const names = Object.keys(CONNECT) as (keyof typeof CONNECT)[];
    for (const name of names) {
      const others = names.filter((other) => other !== name).join(', ');
      expect(lines({ ...CONNECT, [name]: '' })).toEqual([
        `provider "connect": ${name} is not set while ${others} is; set it, or unset all of them`,
      ]);
      expect(lines({ [name]: CONNECT[name] })).toHaveLength(3);
    }
    expect(lines({ FYND_API_KEY: 'k' })).toHaveLength(1);
    // Those with a default say nothing of whether it is wanted.
    expect(shipped({ CONNECT_HEADER: 'ACCESSTOKEN', CONNECT_SCOPES: 'a', KONNECT_TOKEN_TTL: '60' })).toEqual(
      [],
    );
  });

  it('ends a start like that with exit code 78 and a line for each variable that lacks', async () => {
    const { code, output } = await Replica.runToEnd({
      ...LEAST,
      CONNECT_CLIENT_SECRET: 'test-secret-connect',
    });
    expect(code).toBe(78);
    for (const name of Object.keys(CONNECT).slice(0, 3))
      expect(output).toMatch(
        new RegExp(`^.*provider "connect": ${name} is not set while CONNECT_CLIENT_SECRET is`, 'm'),
      );
    expect(output).not.toContain('test-secret');
  });

  it('reads where the tokens of the portal are good', () => {
    const [portal] = reader.readShipped({ PORTAL_BASE_URL: 'https://portal.example/' }).providers;
    expect(portal).toMatchObject({
      baseUrl: 'https://portal.example',
      header: { name: 'Authorization', scheme: 'Bearer' },
      graceSeconds: 30,
      rotateAfterSeconds: 90 * 86_400,
    });
  });
});
