import { describe, expect, it } from '@jest/globals';
import type { Settings } from '../../src/config/settings.js';
import type { Json } from '../support/http.js';
import { mistakes, useProvidersReader } from '../support/providers-reader.js';

const FYND = {
  kind: 'fynd-platform',
  base_url: 'https://api.example',
  api_key: 'extension-1',
  api_secret: 'test-secret',
};
const KONNECT = { kind: 'konnect', base_url: 'https://shop.extensions.example' };

describe('the providers', () => {
  const reader = useProvidersReader();
  const { path } = reader;
  const read = (providers: Json, variables: Record<string, string> = {}): Settings =>
    reader.read(providers, variables);

  it('take a default for everything that the file does not say', () => {
    const [fynd, konnect] = read({ fynd: FYND, konnect: KONNECT }).providers;
    const shared = {
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
    };
    expect(fynd).toEqual({
      ...shared,
      name: 'fynd',
      kind: 'fynd-platform',
      baseUrl: 'https://api.example',
      rotation: 'unknown',
      apiKey: 'extension-1',
      apiSecret: expect.objectContaining({ current: expect.anything() }),
      scopes: [],
      accessMode: 'offline',
      renewal: 'auto',
      uiUrl: null,
      autoInstall: false,
    });
    expect(konnect).toEqual({
      ...shared,
      name: 'konnect',
      kind: 'konnect',
      baseUrl: 'https://shop.extensions.example',
      rotation: 'none',
      tokenPath: '/aggregator/v1/token',
      method: 'GET',
      credentialsIn: 'query',
      tokenTtlSeconds: 3_600,
    });
  });

  it('are as the file says', () => {
    const settings = {
      base_url: 'https://api.example/tokens/',
      rotation: 'strict',
      dead_grant_codes: ['GONE'],
      timeout: '1500ms',
      rate: '5/s',
      concurrency: 3,
      renew_between: [0.5, 0.9],
      allow_private: true,
      public_url: 'https://extension.example/',
    };
    const [fynd] = read({
      fynd: { ...FYND, ...settings, scopes: ['a', 'b'], renewal: 'library', ui_url: 'https://ui.example/' },
    }).providers;
    expect(fynd).toMatchObject({
      baseUrl: 'https://api.example/tokens',
      rotation: 'strict',
      deadGrantCodes: ['GONE'],
      timeoutMs: 1_500,
      ratePerSecond: 5,
      concurrency: 3,
      renewBetween: [0.5, 0.9],
      allowPrivate: true,
      publicUrl: 'https://extension.example',
      scopes: ['a', 'b'],
      renewal: 'library',
      uiUrl: 'https://ui.example',
    });
  });

  it('take ${NAME} and ${NAME:-default} from the environment, numbers, lists and booleans too', () => {
    const konnect = { ...KONNECT, base_url: 'https://${SHOP}.example', token_ttl: '${TTL:-60}' };
    const fynd = {
      ...FYND,
      scopes: '${SCOPES:-a, b,}',
      auto_install: '${AUTO:-false}',
      public_url: '${URL:-}',
    };
    expect(read({ konnect, fynd }, { SHOP: 'one' }).providers).toMatchObject([
      { baseUrl: 'https://one.example', tokenTtlSeconds: 60 },
      { scopes: ['a', 'b'], autoInstall: false, publicUrl: 'http://127.0.0.1:8081' },
    ]);
    const variables = { SHOP: 'two', TTL: '90', SCOPES: 'c', AUTO: 'true', URL: 'https://ext.example' };
    expect(read({ konnect, fynd }, variables).providers).toMatchObject([
      { baseUrl: 'https://two.example', tokenTtlSeconds: 90 },
      { scopes: ['c'], autoInstall: true, publicUrl: 'https://ext.example' },
    ]);
    expect(mistakes(() => read({ fynd }, { AUTO: 'yes' }))).toEqual([
      'provider "fynd": auto_install must be a boolean value',
    ]);
  });

  it('are disabled where no required variable is set, and a mistake where only some are', () => {
    const fynd = { ...FYND, api_key: '${ONE}', api_secret: '${TWO}', scopes: '${THREE:-}' };
    expect(read({ fynd }).disabledProviders).toEqual([{ name: 'fynd', missing: ['ONE', 'TWO'] }]);
    expect(read({ fynd }, { THREE: 'a' }).disabledProviders).toHaveLength(1);
    expect(mistakes(() => read({ fynd }, { TWO: 'test-secret' }))).toEqual([
      'provider "fynd": ONE is not set while TWO is; set it, or unset all of them',
    ]);
  });

  const ADDRESS = 'must be an http(s) address without user, query or fragment';
  it.each<[Json, string]>([
    [{ ...KONNECT, kind: 'other' }, 'kind must be one of fynd-platform, konnect, oauth2, portal'],
    [{ ...KONNECT, colour: 'red' }, 'colour is no setting of this kind'],
    [{ ...KONNECT, api_key: 'k' }, 'api_key is no setting of this kind'],
    [
      { ...FYND, api_secret: '$FYND_SECRET' },
      'api_secret names no variable: write ${NAME} or ${NAME:-default}',
    ],
    [{ ...FYND, api_key: 'x${fynd-key}' }, 'api_key names no variable: write ${NAME} or ${NAME:-default}'],
    [
      { ...FYND, api_secret: '${A:-${B}}' },
      'api_secret names no variable: write ${NAME} or ${NAME:-default}',
    ],
    [{ ...FYND, scopes: ['${A', 'b'] }, 'scopes names no variable: write ${NAME} or ${NAME:-default}'],
    [{ ...KONNECT, base_url: 'konnect.example' }, `base_url ${ADDRESS}`],
    [{ ...KONNECT, base_url: 'https://u:test-secret@k.example' }, `base_url ${ADDRESS}`],
    [{ ...KONNECT, base_url: 'https://k.example/?a=test-secret' }, `base_url ${ADDRESS}`],
    [{ ...KONNECT, base_url: 'https://a.b.0x' }, `base_url ${ADDRESS}`],
    [{ ...KONNECT, public_url: 'k.example' }, `public_url ${ADDRESS}`],
    [{ ...KONNECT, timeout: '10' }, 'timeout must be a duration like 10s'],
    [{ ...KONNECT, timeout: '50ms' }, 'timeout must lie between 100ms and 60s'],
    [{ ...KONNECT, timeout: '2m' }, 'timeout must lie between 100ms and 60s'],
    [{ ...KONNECT, rate: '50' }, 'rate must be a rate like 50/s'],
    [{ ...KONNECT, rate: '0/s' }, 'rate must be a rate like 50/s'],
    [{ ...KONNECT, concurrency: 0 }, 'concurrency must not be less than 1'],
    [{ ...KONNECT, renew_between: [0.8, 0.6] }, 'renew_between must go from the smaller to the larger'],
    [{ ...KONNECT, token_path: 'token' }, 'token_path must be a path that begins with /'],
    [{ ...KONNECT, credentials_in: 'body' }, 'credentials_in: body needs method: POST'],
    [{ ...FYND, ui_url: 'javascript:alert(1)' }, `ui_url ${ADDRESS}`],
  ])('refuse %j in one line, without a secret', (provider, line) => {
    expect(mistakes(() => read({ crm: provider }))).toEqual([`provider "crm": ${line}`]);
  });

  it.each<[string, string]>([
    ['providers: [', `${path}: line 1: not YAML (BAD_INDENT)`],
    ['a: 1\nproviders:\n  x: "test-secret\n', `${path}: line 4: not YAML (MISSING_CHAR)`],
    [
      "providers:\n  x: { kind: konnect, base_url: '${URL}' }\n  y: { kind: konnect, base_url: ${URL} }",
      `${path}: line 3: not YAML (UNEXPECTED_TOKEN); inside of [ ] and { } a variable is to be quoted: ['\${NAME}']`,
    ],
    ['providers: []', `${path}: must hold "providers:" alone, and under it a map per provider`],
    [
      'providers: { x: test-secret }',
      `${path}: must hold "providers:" alone, and under it a map per provider`,
    ],
    ['{}', `${path}: must hold "providers:" alone, and under it a map per provider`],
    ['providers: { "A B": { kind: konnect } }', `${path}: "A B" is no provider name: use a-z 0-9 _ -`],
  ])('refuse a file that holds %j', (content, line) => {
    const lines = mistakes(() => reader.readFile(content));
    expect(lines).toEqual([line.replace(/line \d+: not YAML.*/, lines[0]?.slice(path.length + 2) ?? '')]);
    expect(lines.join()).not.toContain('test-secret');
  });

  it('are told apart by client_id and base_url', () => {
    const twin = { ...FYND, base_url: 'https://API.example/' };
    expect(mistakes(() => read({ one: FYND, two: twin }))).toEqual([
      'providers "one" and "two" have the same api_key and base_url',
    ]);
    expect(read({ one: FYND, two: { ...twin, api_key: 'extension-2' } }).providers).toHaveLength(2);
    expect(read({ one: FYND, two: { ...twin, base_url: 'https://b.example' } }).providers).toHaveLength(2);
    expect(read({ one: KONNECT, two: KONNECT }).providers).toHaveLength(2);
  });

  describe('in production', () => {
    const at = (base_url: string, more: Json = {}): Json => ({ one: { ...KONNECT, base_url, ...more } });
    const PLAIN =
      'provider "one": base_url is plain http, which would show every secret on the way: use https, or set ALLOW_INSECURE_HTTP=true';
    const PRIVATE = 'provider "one": base_url is a private address: set allow_private: true if that is meant';

    it.each([
      'http://k.example',
      'http://localhost.k.example',
      'http://127.0.0.1.k.example',
      'http://8.8.8.8',
    ])('are not to be reached over plain http at %s, unless that is allowed', (url) => {
      expect(mistakes(() => read(at(url)))).toEqual([PLAIN]);
      expect(read(at(url), { ALLOW_INSECURE_HTTP: 'true' }).providers).toHaveLength(1);
      expect(read(at(url), { NODE_ENV: 'development' }).providers).toHaveLength(1);
    });

    it.each(['http://127.0.0.1:8090', 'http://localhost', 'http://[::1]:1', 'https://k.example'])(
      'may be at %s',
      (url) => expect(read(at(url)).providers).toHaveLength(1),
    );

    it.each([
      ...['https://10.1.2.3', 'https://192.168.0.1', 'https://169.254.169.254', 'https://[fd00::1]'],
      ...['https://[::ffff:10.0.0.1]', 'https://0.0.0.0', 'https://0xa000001'],
    ])('are not to be at %s, which is private, unless that is meant', (url) => {
      expect(mistakes(() => read(at(url)))).toEqual([PRIVATE]);
      expect(read(at(url, { allow_private: true })).providers).toHaveLength(1);
      expect(read(at(url), { NODE_ENV: 'development' }).providers).toHaveLength(1);
    });

    it('are told both', () => {
      expect(mistakes(() => read(at('http://10.0.0.1')))).toEqual([PLAIN, PRIVATE]);
      expect(mistakes(() => read(at('http://10.0.0.1'), { ALLOW_INSECURE_HTTP: 'true' }))).toEqual([PRIVATE]);
    });
  });
});
