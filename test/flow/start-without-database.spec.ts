import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, escapeIdentifier } from 'pg';
import { RecentWrites } from '../../src/token/recent-writes.js';
import { Cable } from '../support/cable.js';
import { ask, eventually, freePort, type Answer } from '../support/http.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { Replica } from '../support/replica.js';
import { ADMIN_KEY, API_KEY, useWorld } from '../support/world.js';

/** As src/vault/data-key.store.ts takes it before it reads the keys. */
const KEYS_LOCK = `select pg_advisory_lock(7405927)`;
const KEY = { authorization: `Bearer ${ADMIN_KEY}` };

describe('a start while the database is away', () => {
  const world = useWorld();
  let cable: Cable;
  let database: TestDatabase;
  let client: Client;
  let ports: { PORT: string; PUBLIC_PORT: string; OPS_PORT: string };
  let environment: Record<string, string>;
  const launched: Replica[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
    client = new Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
    cable = new Cable(new URL(database.url));
    const [PORT, PUBLIC_PORT, OPS_PORT] = [await freePort(), await freePort(), await freePort()].map(String);
    ports = { PORT: PORT ?? '', PUBLIC_PORT: PUBLIC_PORT ?? '', OPS_PORT: OPS_PORT ?? '' };
    environment = { ...ports, DATABASE_URL: await cable.open(), LOG_LEVEL: 'info' };
    cable.cut();
  });

  afterEach(async () => {
    for (const replica of launched.splice(0)) {
      replica.signal('SIGKILL');
      await replica.ended();
    }
    cable.close();
    await client.end();
    await database.drop();
  });

  const at = (port: keyof typeof ports, path: string, headers = {}): Promise<Answer> =>
    ask('GET', `http://127.0.0.1:${ports[port]}${path}`, headers);

  function launch(changes: Record<string, string>): Replica {
    const replica = Replica.launch(world.environment({ ...environment, ...changes }));
    launched.push(replica);
    return replica;
  }

  /** Resolves once the listeners are open. */
  async function answers(port: keyof typeof ports): Promise<void> {
    await eventually(() =>
      at(port, '/health/live').then(
        () => true,
        () => false,
      ),
    );
  }

  it('says on every listener that it waits, and for what, and serves as soon as the database is there', async () => {
    const starting = world.local(environment);
    await answers('PORT');
    for (const port of ['PORT', 'OPS_PORT'] as const) {
      expect(await at(port, '/health/live')).toMatchObject({ status: 200, body: { status: 'ok' } });
      for (const path of ['/health/startup', '/health/ready']) {
        const { status, body, headers } = await at(port, path);
        expect([status, headers.get('content-type')]).toEqual([503, expect.stringMatching(/problem\+json/)]);
        expect(body).toMatchObject({
          code: 'not_ready',
          detail: expect.stringMatching(/waiting for the database of DATABASE_URL \(.+\)/),
          checks: { process: 'up', database: 'unreachable' },
        });
      }
    }
    const read = await at('PORT', '/v1/tokens/konnect/companies/42', KEY);
    expect([read.status, read.body['code'], read.headers.get('retry-after')]).toEqual([
      503,
      'store_unavailable',
      '5',
    ]);
    expect(read.headers.get('cache-control')).toBe('no-store');
    const page = await at('PUBLIC_PORT', `/fp/install?company_id=42&client_id=${API_KEY}`);
    expect([page.status, page.headers.get('content-type')]).toEqual([
      503,
      expect.stringMatching(/^text\/html/),
    ]);
    for (const [port, path] of [
      ['PUBLIC_PORT', '/health/live'],
      ['PUBLIC_PORT', '/v1/connections'],
      ['PORT', '/fp/install'],
      ['OPS_PORT', '/v1/connections'],
    ] as const)
      expect([path, (await at(port, path)).status]).toEqual([path, 404]);

    cable.mend();
    const broker = await starting;
    expect((await at('OPS_PORT', '/health/startup')).status).toBe(200);
    expect((await at('PORT', '/health/ready')).status).toBe(200);
    expect((await world.keepKonnect(broker, '42')).status).toBe(201);
    expect((await at('PORT', '/v1/tokens/konnect/companies/42', KEY)).status).toBe(200);
    await broker.broker.stop();
  });

  it('sends no refresh token before the others had time to write again what a failover forgot', async () => {
    const starting = world.local(environment);
    await answers('PORT');
    cable.mend();
    const { broker } = await starting;
    const recent = broker.app.get(RecentWrites);
    expect(recent.isCertain()).toBe(false);
    expect(await recent.certain()).toBe(true);
    await broker.stop();
    // A start that waits for nothing has no reason to.
    const next = await world.local(environment);
    expect(next.broker.app.get(RecentWrites).isCertain()).toBe(true);
    await next.broker.stop();
  });

  it('migrates an empty database once it is there, as a process that was started before it', async () => {
    await client.query('drop schema public cascade; create schema public');
    const starting = world.replica(environment);
    await answers('OPS_PORT');
    cable.mend();
    const replica = await starting;
    expect((await at('PORT', '/health/ready')).status).toBe(200);
    expect(replica.output).toMatch(
      /waiting for the database of DATABASE_URL[^]*is there[^]*migrated: [^]*listening/,
    );
    await replica.stop();
  });

  it('begins anew where the database goes away again before all is read that the start needs', async () => {
    cable.mend();
    await client.query(KEYS_LOCK);
    const starting = world.local(environment);
    await eventually(async () => {
      const { rowCount } = await client.query(
        `select 1 from pg_locks l join pg_database d on d.oid = l.database
          where datname = current_database() and locktype = 'advisory' and not granted`,
      );
      return rowCount !== 0;
    });
    cable.cut();
    await answers('OPS_PORT');
    await client.query('select pg_advisory_unlock_all()');
    cable.mend();
    const { broker } = await starting;
    expect((await at('PORT', '/health/ready')).status).toBe(200);
    await broker.stop();
  });

  it('ends at once on SIGTERM', async () => {
    const replica = launch({});
    await answers('PORT');
    replica.signal('SIGTERM');
    expect((await replica.ended()).code).toBe(0);
  });

  it('ends with 78 and one line that tells no secret where the database refuses it when it comes', async () => {
    const url = new URL(environment['DATABASE_URL'] ?? '');
    url.password = 'test-secret-wrong';
    const replica = launch({ DATABASE_URL: url.href });
    await answers('PORT');
    cable.mend();
    const { code, output } = await replica.ended();
    expect(code).toBe(78);
    expect(output).toMatch(
      /^token-broker: the (password in DATABASE_URL is refused|user in DATABASE_URL may not connect)$/m,
    );
    expect(output).not.toMatch(/test-secret|postgres:\/\//);
  });

  it('leaves ports that are shared to those who serve there', async () => {
    launch({ SHARE_PORTS: 'true' });
    await answers('OPS_PORT');
    for (const port of ['PORT', 'PUBLIC_PORT'] as const)
      await expect(at(port, '/health/live')).rejects.toThrow();
    cable.mend();
    await answers('PORT');
  });

  it('warns of a database that a newer release has prepared, and serves', async () => {
    cable.mend();
    const name = 'of-the-next-release1999999999999';
    await client.query('insert into migrations (timestamp, name) values (1999999999999, $1)', [name]);
    const replica = await world.replica(environment);
    expect(replica.output).toMatch(new RegExp(`ahead of this release, which does not know ${name}`));
    expect((await at('PORT', '/health/ready')).status).toBe(200);
    await replica.stop();
  });

  it('waits for a database that only reads, as a standby does, before it makes its tables', async () => {
    cable.mend();
    const database = escapeIdentifier(new URL(environment['DATABASE_URL'] ?? '').pathname.slice(1));
    await client.query(`drop schema public cascade; create schema public;
      alter database ${database} set default_transaction_read_only = on`);
    const starting = world.replica(environment);
    await answers('OPS_PORT');
    expect((await at('OPS_PORT', '/health/startup')).body['detail']).toMatch(/takes no writes/);
    await client.query('set default_transaction_read_only = off');
    await client.query(`alter database ${database} reset all`);
    const replica = await starting;
    await replica.stop();
  });
});
