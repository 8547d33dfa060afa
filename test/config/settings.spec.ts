import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Environment } from '../../src/config/environment.js';
import { ConfigurationError } from '../../src/config/mistakes.js';
import { readSettings, type Settings } from '../../src/config/settings.js';

type Variables = Record<string, string | undefined>;

const KEYS = `k1:${randomBytes(32).toString('base64')}`;
const LEAST = { DATABASE_URL: 'postgres://u:test-secret-pw@127.0.0.1:5432/broker', ENCRYPTION_KEYS: KEYS };

const CONNECT = ['CONNECT_AUTHORIZE_URL', 'CONNECT_TOKEN_URL', 'CONNECT_CLIENT_ID', 'CONNECT_CLIENT_SECRET'];

const read = (changes: Variables = {}): Settings =>
  readSettings(new Environment(JSON.parse(JSON.stringify({ ...LEAST, ...changes })) as NodeJS.ProcessEnv));

/** The lines that stop the start. */
function mistakes(changes: Variables): readonly string[] {
  try {
    read(changes);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.lines;
    throw error;
  }
  return [];
}

describe('the settings', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-settings-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function file(name: string, content: string): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  it('need a database and keys, and take a default for everything else', () => {
    const { database, encryptionKeys, providers, ...rest } = read();
    expect(database).toEqual({
      url: expect.anything(),
      directUrl: null,
      ca: null,
      poolSize: 10,
      migrateOnStart: true,
      namedStatements: true,
      notifications: true,
    });
    expect(database.url.current.reveal()).toBe(LEAST.DATABASE_URL);
    expect(encryptionKeys.current.map(({ id }) => id)).toEqual(['k1']);
    // The portal needs nothing to be set: its tokens are made and kept by hand.
    expect(providers.map(({ name }) => name)).toEqual(['portal']);
    expect(rest).toEqual({
      production: true,
      tracing: null,
      host: '0.0.0.0',
      port: 8080,
      publicPort: 8081,
      opsPort: null,
      sharePorts: false,
      serveWhileStoppingS: 0,
      tls: null,
      trustedProxies: [],
      publicUrl: 'http://127.0.0.1:8081',
      adminKey: null,
      audit: { retentionDays: 400, stdout: false },
      cache: { rows: 100_000, withoutDatabaseS: 300 },
      clients: null,
      disabledProviders: [
        { name: 'fynd', missing: ['FYND_API_KEY', 'FYND_API_SECRET'] },
        { name: 'konnect', missing: ['KONNECT_BASE_URL'] },
        { name: 'connect', missing: CONNECT },
      ],
      webhooks: null,
      workloadIssuers: [],
      keyServices: { kmsEndpoint: null, transit: null },
      keyRotationRate: 500,
      logLevel: 'info',
      warnings: [
        'provider "fynd" is disabled: FYND_API_KEY, FYND_API_SECRET not set',
        'provider "konnect" is disabled: KONNECT_BASE_URL not set',
        `provider "connect" is disabled: ${CONNECT.join(', ')} not set`,
        'ADMIN_KEY and CLIENTS_FILE are not set: only clients that were made before can call /v1',
      ],
    });
  });

  it('take an empty variable as one that is not set', () => {
    const empty = { PORT: '', HOST: '', ADMIN_KEY: '', FYND_API_KEY: '', PUBLIC_URL: '', TLS_CERT_FILE: '' };
    expect(JSON.stringify(read(empty))).toBe(JSON.stringify(read()));
  });

  it('listen on loopback alone in development', () => {
    expect(read({ NODE_ENV: 'development' })).toMatchObject({ production: false, host: '127.0.0.1' });
    expect(read({ NODE_ENV: 'development', HOST: '::1' }).host).toBe('::1');
  });

  it('read what is given', () => {
    const ADMIN_KEY = 'test-secret-admin-key-of-32-characters';
    const given = read({
      PORT: 'off',
      PUBLIC_PORT: '0',
      OPS_PORT: '9090',
      TRUSTED_PROXIES: '10.0.0.0/8, ::1',
      PUBLIC_URL: 'https://broker.example/tokens//',
      DATABASE_POOL: '25',
      MIGRATE_ON_START: 'false',
      DATABASE_NAMED_STATEMENTS: 'off',
      DATABASE_NOTIFICATIONS: 'off',
      LOG_LEVEL: 'warn',
      ADMIN_KEY,
    });
    expect(given).toMatchObject({
      port: null,
      publicPort: 0,
      opsPort: 9090,
      trustedProxies: ['10.0.0.0/8', '::1'],
      publicUrl: 'https://broker.example/tokens',
      database: { poolSize: 25, migrateOnStart: false, namedStatements: false, notifications: false },
      logLevel: 'warn',
    });
    expect(given.adminKey?.current.reveal()).toBe(ADMIN_KEY);
  });

  it('let browsers come back to the public port that is given, where no PUBLIC_URL is', () => {
    expect(read({ PUBLIC_PORT: '9000' }).publicUrl).toBe('http://127.0.0.1:9000');
  });

  const LISTENER = 'must be a port from 0 to 65535 (0 picks a free one) or off';
  const ADDRESS = 'must be an http(s) address without user, query or fragment';
  const DATABASE = 'DATABASE_URL must look like postgres://user:password@host:5432/database';
  it.each<[Variables, string]>([
    [{ NODE_ENV: 'test' }, 'NODE_ENV must be production or development'],
    [{ HOST: 'a b' }, 'HOST must be an address or a host name'],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
      'OTEL_EXPORTER_OTLP_ENDPOINT must be an http(s) address without user, query or fragment',
    ],
    [
      { OTEL_TRACES_SAMPLER_ARG: '1.5' },
      'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1: the part of traces that are recorded',
    ],
    [
      { OTEL_EXPORTER_OTLP_HEADERS: 'test-secret-key' },
      'OTEL_EXPORTER_OTLP_HEADERS must be headers with their values: name=value, separated by commas',
    ],
    [{ PORT: '65536' }, `PORT ${LISTENER}`],
    [{ PORT: '-1' }, `PORT ${LISTENER}`],
    [{ PORT: '80.5' }, `PORT ${LISTENER}`],
    [{ PUBLIC_PORT: 'on' }, `PUBLIC_PORT ${LISTENER}`],
    [{ OPS_PORT: '0x50' }, `OPS_PORT ${LISTENER}`],
    [{ PORT: 'off', PUBLIC_PORT: 'off' }, 'PORT and PUBLIC_PORT are both off: nothing would be served'],
    [{ OPS_PORT: '8080' }, 'PORT, PUBLIC_PORT and OPS_PORT must differ'],
    [
      { TRUSTED_PROXIES: 'all' },
      'TRUSTED_PROXIES must be addresses or networks (10.0.0.0/8), separated by commas',
    ],
    [{ PUBLIC_URL: 'broker.example' }, `PUBLIC_URL ${ADDRESS}`],
    [{ PUBLIC_URL: 'https://a.b.0x' }, `PUBLIC_URL ${ADDRESS}`],
    [{ PUBLIC_URL: 'ftp://broker.example' }, `PUBLIC_URL ${ADDRESS}`],
    [{ PUBLIC_URL: 'https://u:p@broker.example' }, `PUBLIC_URL ${ADDRESS}`],
    [{ PUBLIC_URL: 'https://broker.example/?a=b' }, `PUBLIC_URL ${ADDRESS}`],
    [{ DATABASE_POOL: '1' }, 'DATABASE_POOL must be at least 2'],
    [{ DATABASE_POOL: '501' }, 'DATABASE_POOL must be at most 500'],
    [{ DATABASE_POOL: 'ten' }, 'DATABASE_POOL must be a whole number'],
    [{ DATABASE_NAMED_STATEMENTS: 'false' }, 'DATABASE_NAMED_STATEMENTS must be on or off'],
    [{ DATABASE_NOTIFICATIONS: 'no' }, 'DATABASE_NOTIFICATIONS must be on or off'],
    [
      { DATABASE_NAMED_STATEMENTS: 'off' },
      'DATABASE_NAMED_STATEMENTS=off is for a pooler, through which nobody can listen: set DATABASE_DIRECT_URL, or DATABASE_NOTIFICATIONS=off',
    ],
    [{ DATABASE_DIRECT_URL: 'mysql://u:p@h/d' }, DATABASE.replace('DATABASE_URL', 'DATABASE_DIRECT_URL')],
    [{ SHARE_PORTS: 'on' }, 'SHARE_PORTS must be true or false'],
    [
      { SHARE_PORTS: 'true', PUBLIC_PORT: '0' },
      'SHARE_PORTS needs a PORT and a PUBLIC_PORT of one number or off: 0 is another in each process',
    ],
    [{ MIGRATE_ON_START: 'yes' }, 'MIGRATE_ON_START must be true or false'],
    [{ ALLOW_INSECURE_HTTP: '1' }, 'ALLOW_INSECURE_HTTP must be true or false'],
    [{ LOG_LEVEL: 'trace' }, 'LOG_LEVEL must be debug, info, warn or error'],
    [{ DATABASE_URL: undefined }, 'DATABASE_URL is not set: postgres://user:password@host:5432/database'],
    [{ DATABASE_URL: 'mysql://u:p@h/d' }, DATABASE],
    [{ DATABASE_URL: 'postgres://u:p@h' }, DATABASE],
    [{ DATABASE_URL: 'not at all' }, DATABASE],
    [
      { ENCRYPTION_KEYS: undefined },
      'ENCRYPTION_KEYS is not set: id:base64-of-32-bytes; make the bytes with: openssl rand -base64 32',
    ],
    [
      { ADMIN_KEY: 'short' },
      'ADMIN_KEY must have at least 32 characters; make one with: openssl rand -base64 32',
    ],
    [
      { ADMIN_KEY: 'with spaces in it, which no header keeps' },
      'ADMIN_KEY must be printable ASCII without spaces: it travels in a header',
    ],
    [{ DATABASE_CA_FILE: '/nowhere/ca.pem' }, 'DATABASE_CA_FILE: there is no file /nowhere/ca.pem'],
    [
      { TLS_CERT_FILE: '/nowhere/cert.pem' },
      'TLS_CERT_FILE and TLS_KEY_FILE go together: set both or neither',
    ],
    [{ PROVIDERS_FILE: '/nowhere/p.yaml' }, 'PROVIDERS_FILE: cannot read /nowhere/p.yaml (ENOENT)'],
  ])('refuse %j in one line', (changes, line) => {
    expect(mistakes(changes)).toEqual([line]);
  });

  it('know of a pooler by the address past it', () => {
    const past = 'postgres://u:test-secret-pw@127.0.0.1:5433/broker';
    const { database } = read({ DATABASE_NAMED_STATEMENTS: 'off', DATABASE_DIRECT_URL: past });
    expect(database.directUrl?.current.reveal()).toBe(past);
    const DATABASE_DIRECT_URL_FILE = file('past', `${past}\n`);
    const fromFile = read({ DATABASE_NAMED_STATEMENTS: 'off', DATABASE_DIRECT_URL_FILE });
    expect(fromFile.database.directUrl?.current.reveal()).toBe(past);
  });

  it('tell each file of TLS that is not there', () => {
    expect(mistakes({ TLS_CERT_FILE: '/nowhere/c', TLS_KEY_FILE: '/nowhere/k' })).toEqual([
      'TLS: there is no file /nowhere/c',
      'TLS: there is no file /nowhere/k',
    ]);
  });

  it('tell every mistake at once, and quote no secret in any line', () => {
    const secret = 'test-secret-value';
    const lines = mistakes({
      PORT: '99999',
      LOG_LEVEL: 'loud',
      DATABASE_URL: `mysql://u:${secret}@h`,
      ENCRYPTION_KEYS: `k1:${secret},${secret},k2:${Buffer.from(secret.padEnd(32, '!')).toString('base64')}`,
      ADMIN_KEY: secret,
      TLS_KEY_FILE: '/nowhere/key.pem',
      DATABASE_CA_FILE: '/nowhere/ca.pem',
      FYND_API_SECRET: secret,
      KONNECT_BASE_URL: `https://u:${secret}@konnect.example`,
    });
    expect(lines.map((line) => line.split(/[ :]/)[0])).toEqual([
      ...['PORT', 'LOG_LEVEL', 'DATABASE_URL', 'DATABASE_CA_FILE'],
      ...['ENCRYPTION_KEYS', 'ENCRYPTION_KEYS', 'ENCRYPTION_KEYS', 'ADMIN_KEY', 'TLS_CERT_FILE'],
      ...['provider', 'provider'],
    ]);
    expect(lines.join('\n')).not.toMatch(
      new RegExp(`${secret}|${Buffer.from(secret).toString('base64url')}`),
    );
    for (const line of lines) expect(line).not.toContain('\n');
  });

  it('tell what is odd without stopping', () => {
    const PROVIDERS_FILE = file(
      'fynd.yaml',
      'providers: { f: { kind: fynd-platform, base_url: "https://api.example", api_key: k, api_secret: s } }',
    );
    expect(read({ PROVIDERS_FILE }).warnings).toEqual([
      'ADMIN_KEY and CLIENTS_FILE are not set: only clients that were made before can call /v1',
      'PUBLIC_URL is http://127.0.0.1:8081: browsers elsewhere cannot come back to it',
    ]);
    const open = { PROVIDERS_FILE, PUBLIC_URL: 'http://broker.example' };
    expect(read(open).warnings).toContain(
      'PUBLIC_URL is plain http: codes and cookies of every consent travel open',
    );
    const nothing = file('nothing.yaml', 'providers: { k: { kind: konnect, base_url: "${NOT_SET}" } }');
    expect(read({ PROVIDERS_FILE: nothing }).warnings).toContain(
      'no provider is enabled: the broker has nothing to hold',
    );
  });

  it('read a secret from a file as from a variable', () => {
    const DATABASE_URL_FILE = file('url', `${LEAST.DATABASE_URL}\r\n`);
    const settings = read({ DATABASE_URL: undefined, DATABASE_URL_FILE });
    expect(settings.database.url.current.reveal()).toBe(LEAST.DATABASE_URL);
  });
});
