import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Notifications } from '../../src/database/notifications.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const FIRST = 'broker_of_monday';
const SECOND = 'broker_of_tuesday';

describe('the credentials of the database, in a file', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-database-'));
  let broker: LocalBroker;

  beforeEach(async () => {
    for (const name of [FIRST, SECOND])
      await world.sql(`create role ${name} login superuser password 'test-secret-${name}'`);
    write('DATABASE_URL', FIRST, `test-secret-${FIRST}`);
    write('DATABASE_DIRECT_URL', FIRST, `test-secret-${FIRST}`);
    broker = await world.local({
      DATABASE_URL: undefined,
      DATABASE_URL_FILE: join(folder, 'DATABASE_URL'),
      DATABASE_DIRECT_URL_FILE: join(folder, 'DATABASE_DIRECT_URL'),
    });
  });
  afterEach(async () => {
    await broker.broker.stop();
    for (const name of [FIRST, SECOND])
      await world.sql(`reassign owned by ${name} to current_user; drop owned by ${name}; drop role ${name}`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function write(variable: string, user: string, password: string): void {
    const url = new URL(world.databaseUrl);
    Object.assign(url, { username: user, password });
    const path = join(folder, variable);
    writeFileSync(`${path}.new`, `${url.href}\n`);
    renameSync(`${path}.new`, path);
  }

  const connected = async (user: string): Promise<string[]> =>
    (
      await world.sql<{ application_name: string }>(
        'select application_name from pg_stat_activity where usename = $1',
        [user],
      )
    ).map(({ application_name: name }) => name);
  const disconnect = (user: string): Promise<unknown> =>
    world.sql('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [user]);

  /** That new connections are made, for statements and to listen. */
  async function works(): Promise<void> {
    await eventually(async () => (await world.api(broker, 'GET', '/v1/connections')).status === 200);
    await eventually(() => broker.broker.app.get(Notifications).isLive());
  }

  it('may change their password, and what is open goes on', async () => {
    await world.sql(`alter role ${FIRST} password 'test-secret-other'`);
    expect((await world.api(broker, 'GET', '/v1/connections')).status).toBe(200);
    for (const variable of ['DATABASE_URL', 'DATABASE_DIRECT_URL'])
      write(variable, FIRST, 'test-secret-other');
    await disconnect(FIRST);
    await works();
  });

  it('may change their user, too, as where a store of secrets makes one for some hours', async () => {
    for (const variable of ['DATABASE_URL', 'DATABASE_DIRECT_URL'])
      write(variable, SECOND, `test-secret-${SECOND}`);
    await world.sql(`alter role ${FIRST} nologin`);
    await disconnect(FIRST);
    await works();
    expect(await connected(FIRST)).toEqual([]);
    expect(await connected(SECOND)).toEqual(expect.arrayContaining(['token-broker', 'token-broker listen']));
  });
});
