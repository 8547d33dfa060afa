import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Clock } from '../../src/shared/clock.js';
import { selfSigned } from '../support/certificate.js';
import { CommandLine } from '../support/command-line.js';
import { AnsweringServers, Examinations } from '../support/examinations.js';
import { freePort } from '../support/http.js';
import { createTestDatabase } from '../support/postgres.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-doctor-'));
const servers = new AnsweringServers();
const doctor = new Examinations(world, () => broker.public);
let broker: LocalBroker;

beforeAll(async () => {
  broker = await world.local();
  world.stopTicking(broker);
});
afterAll(() => {
  servers.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the doctor', () => {
  it('finds nothing wrong where all is well, and says what it has looked at', async () => {
    const { code, findings, wrong } = await doctor.ended();
    expect([code, wrong]).toEqual([0, '']);
    const abouts = new Set(findings.map(({ about, name }) => `${about} ${name ?? ''}`.trim()));
    for (const it of [
      'configuration',
      'database',
      'keys',
      'callers',
      'provider fynd',
      'provider konnect',
      'provider connect',
    ])
      expect(abouts).toContain(it);
    const text = await CommandLine.run(['doctor'], doctor.env());
    world.logs.push(text.output);
    expect(text).toMatchObject({ code: 0, output: expect.stringContaining('0 problems, 0 warnings') });
  });

  it('lists what is wrong with the configuration, and ends with 78', async () => {
    const { code, wrong } = await doctor.ended({ ENCRYPTION_KEYS: undefined, LOG_LEVEL: 'loud' });
    expect(code).toBe(78);
    expect(wrong).toMatch(/problem configuration : .*LOG_LEVEL[^]*ENCRYPTION_KEYS is not set/);
  });

  it('tells what works and wants to be known', async () => {
    const { wrong } = await doctor.examined({
      CONNECT_CLIENT_ID: undefined,
      CONNECT_CLIENT_SECRET: undefined,
      CONNECT_TOKEN_URL: undefined,
      CONNECT_AUTHORIZE_URL: undefined,
    });
    expect(wrong).toMatch(/^warning configuration : provider "connect" is disabled/);
  });
});

describe('of the database the doctor tells', () => {
  it.each([
    [
      'that nobody answers',
      (url: URL, port: number) => (url.port = String(port)),
      /problem database : DATABASE_URL leads to nothing that answers \(ECONNREFUSED\)/,
    ],
    [
      'that it does not exist',
      (url: URL) => (url.pathname = '/nowhere'),
      /problem database : the database in DATABASE_URL does not exist/,
    ],
  ])('%s', async (_, change, expected) => {
    const url = new URL(world.databaseUrl);
    change(url, await freePort());
    const { wrong } = await doctor.examined({ DATABASE_URL: url.href });
    expect(wrong).toEqual(expect.stringMatching(expected));
  });

  it('that a database is without any table of the broker', async () => {
    const elsewhere = new URL(world.environment()['DATABASE_URL'] ?? '');
    elsewhere.pathname = '/postgres';
    const { wrong } = await doctor.examined({ DATABASE_URL: elsewhere.href, MIGRATE_ON_START: 'false' });
    expect(wrong).toContain(
      "problem database : DATABASE_URL leads to a database without the broker's tables: is it the right one?",
    );
  });

  it('migrations that are missing, and those of a newer release', async () => {
    const [last] = await world.sql<{ name: string; timestamp: string }>(
      'delete from migrations where id = (select max(id) from migrations) returning name, timestamp',
    );
    await world.sql(`insert into migrations (timestamp, name) values (1, 'of-a-newer-release')`);
    const lazy = await doctor.examined({ MIGRATE_ON_START: 'false' });
    const eager = await doctor.examined();
    await world.sql(`update migrations set name = $1, timestamp = $2 where name = 'of-a-newer-release'`, [
      last?.name,
      last?.timestamp,
    ]);
    expect(lazy.wrong).toEqual(expect.stringMatching(/problem database : it lacks 1 of \d+ migrations/));
    expect(eager.wrong).toEqual(
      expect.stringMatching(/warning database : it lacks 1 of[^]*it has 1 migrations of a newer/),
    );
  });

  it('how many connections there is room for', async () => {
    const name = new URL(world.databaseUrl).pathname.slice(1);
    await world.sql(`alter database ${name} connection limit 15`);
    const [tight, full] = [await doctor.examined(), await doctor.examined({ DATABASE_POOL: '12' })];
    await world.sql(`alter database ${name} connection limit -1`);
    const limit = 'and the connection limit of the database leaves 15';
    expect(tight.wrong).toContain(
      `warning database : a replica may hold 14 connections, ${limit}: one replica fits`,
    );
    expect(full.wrong).toContain(`problem database : a replica may hold 16 connections, ${limit}`);
  });

  it('whether it hears what others say', async () => {
    const other = await createTestDatabase();
    try {
      const { wrong } = await doctor.examined({ DATABASE_DIRECT_URL: other.url });
      expect(wrong).toEqual(expect.stringContaining('DATABASE_DIRECT_URL listens in vain'));
    } finally {
      await other.drop();
    }
    expect((await doctor.examined({ DATABASE_NOTIFICATIONS: 'off' })).wrong).toContain(
      'replicas do not hear of each other',
    );
  });

  it('that a clock is wrong', async () => {
    class WrongClock extends Clock {
      override nowMs(): number {
        return super.nowMs() + 120_000;
      }
    }
    const { wrong } = await doctor.examined({}, new WrongClock());
    expect(wrong).toMatch(/problem database : its clock is 1[12]\d s behind this machine's/);
    expect(wrong).toMatch(/warning provider fynd: its clock is 1[12]\d s behind/);
  });

  it('that a key is missing', async () => {
    const { wrong } = await doctor.examined({
      ENCRYPTION_KEYS: `other:${randomBytes(32).toString('base64')}`,
    });
    expect(wrong).toEqual(
      expect.stringMatching(
        /problem keys : \d data keys are wrapped by "test", which ENCRYPTION_KEYS lacks \(it has: other\)/,
      ),
    );
  });
});

describe('of a provider the doctor tells', () => {
  it('without ever sending it a secret', async () => {
    const url = await servers.status(401);
    const { wrong } = await doctor.examined({
      FYND_BASE_URL: url,
      KONNECT_BASE_URL: url,
      CONNECT_TOKEN_URL: `${url}/token`,
    });
    expect(wrong).toBe('');
    expect(servers.asked).toHaveLength(3);
    for (const { headers, body } of servers.asked) {
      expect(headers).not.toHaveProperty('authorization');
      expect(body).toMatch(/^\/[\w./-]*$/);
    }
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    [
      'that nobody answers',
      async () => `http://127.0.0.1:${await freePort()}`,
      /problem .* does not answer \(not_reached\)/,
    ],
    [
      'that the endpoint is not there',
      () => servers.status(404),
      /problem .* there is no token endpoint at .*\/aggregator\/v1\/token \(404\)/,
    ],
    [
      'that it leads elsewhere',
      () => servers.status(302, { location: 'http://127.0.0.1/' }),
      /problem .* redirects \(302\)/,
    ],
    ['that it is not well', () => servers.status(503), /warning .* answers 503/],
    [
      'that it is no token endpoint',
      () => servers.status(200, {}, '<html>'),
      /warning .* answers 200, and not in JSON/,
    ],
    [
      'that its certificate is not believed',
      () => servers.start((_, response) => response.end('{}'), selfSigned('127.0.0.1')),
      /problem .* the certificate of .* is not believed \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
    ],
    [
      'that its clock is far off',
      () => servers.status(401, { date: new Date(Date.now() - 900_000).toUTCString() }),
      /problem .* its clock is (89|90|91)\d s behind/,
    ],
  ])('%s', async (_, serve, expected) => {
    const { wrong } = await doctor.examined({ KONNECT_BASE_URL: await serve() });
    expect(wrong).toMatch(expected);
    expect(wrong).toContain(' provider konnect: ');
  });

  it('that its certificate ends soon', async () => {
    const certificate = selfSigned('127.0.0.1', -1, 3);
    const authority = join(folder, 'authority.pem');
    writeFileSync(authority, certificate.cert);
    const url = await servers.start((_, response) => response.writeHead(401).end('{}'), certificate);
    const { code, wrong } = await doctor.ended({ KONNECT_BASE_URL: url, NODE_EXTRA_CA_CERTS: authority });
    expect(code).toBe(0);
    expect(wrong).toEqual(expect.stringMatching(/^warning provider konnect: the certificate of .* ends at/));
  });

  it('what the running broker has found out', async () => {
    await world.sql(
      `insert into provider_states (provider) values ('fynd'), ('konnect'), ('connect') on conflict do nothing`,
    );
    await world.sql(
      `update provider_states set status = 'misconfigured', last_error = 'client_refused' where provider = 'fynd'`,
    );
    await world.sql(`update provider_states set mass_refused_at = now() where provider = 'connect'`);
    await world.sql(`update provider_states set paused_at = now() where provider = 'konnect'`);
    await world.sql(
      `insert into connections (id, provider, company_id, status) values (gen_random_uuid(), 'former', '1', 'active')`,
    );
    const { wrong } = await doctor.examined();
    await world.sql('truncate connections, provider_states');
    expect(wrong).toContain(
      "problem provider fynd: it refuses the broker's own registration (client_refused)",
    );
    expect(wrong).toContain('problem provider connect: it was stopped because it refused too many');
    expect(wrong).toContain('warning provider konnect: an operator has paused it');
    expect(wrong).toContain('warning provider former: it is not configured, and has 1 connections');
  });

  it('that its metadata leads elsewhere', async () => {
    const file = join(folder, 'crm.yaml');
    writeFileSync(
      file,
      `providers:\n  crm: { kind: oauth2, issuer: '${await servers.status(200)}', client_id: a, client_secret: test-secret-crm }\n`,
    );
    const { wrong } = await doctor.examined({ PROVIDERS_FILE: file });
    expect(wrong).toEqual(
      expect.stringContaining('problem provider crm: its metadata cannot be used (metadata_refused)'),
    );
  });
});

describe('of those who come in the doctor tells', () => {
  it('which clients cannot call', async () => {
    const file = join(folder, 'clients.yaml');
    writeFileSync(
      file,
      `clients:
  - { name: ended, expires_at: '2020-01-01T00:00:00Z', permissions: [{ action: 'token:read', resource: '**' }] }
  - { name: stranger, workload: { issuer: 'https://other.example', subject: a }, permissions: [{ action: 'token:read', resource: '**' }] }
  - { name: nothing, permissions: [] }
`,
    );
    const { wrong } = await doctor.examined({ CLIENTS_FILE: file });
    expect(wrong).toContain('warning callers : client "ended" has ended at 2020-01-01');
    expect(wrong).toContain(
      'problem callers : client "stranger" speaks by https://other.example, which nobody believes',
    );
    expect(wrong).toContain('warning callers : client "nothing" may do nothing');
  });

  it('whether browsers find the broker', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect((await doctor.examined({ PUBLIC_URL: nobody })).wrong).toContain(
      `warning public_url ${nobody}: nothing answers there (ECONNREFUSED)`,
    );
    const other = await servers.status(200, {}, 'hello');
    expect((await doctor.examined({ PUBLIC_URL: other })).wrong).toContain(
      "is not the broker's public side (200)",
    );
  });
});
