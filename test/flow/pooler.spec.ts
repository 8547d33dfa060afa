import { describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { Notifications } from '../../src/database/notifications.js';
import { Cable } from '../support/cable.js';
import { createTestDatabase } from '../support/postgres.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const NO_NOTIFICATIONS = /no notifications, until this is mended: .*/;

describe('a replica', () => {
  const world = useWorld();

  /** A replica that serves a token, and what it has logged. */
  async function serving(
    changes: Record<string, string>,
  ): Promise<{ local: LocalBroker; logs: () => readonly string[] }> {
    const from = world.logs.length;
    const local = await world.local({ DATABASE_POOL: '2', ...changes });
    await world.keepKonnect(local, '42');
    for (let again = 0; again < 5; again += 1) {
      expect((await world.api(local, 'GET', '/v1/tokens/konnect/companies/42')).status).toBe(200);
    }
    return { local, logs: () => world.logs.slice(from) };
  }

  /** What both of its connections keep, and the limit that they were opened with. */
  async function sessionsOf({ broker }: LocalBroker): Promise<{ names: string[]; timeouts: string[] }> {
    const look = (): Promise<{ name: string; timeout: string }[]> =>
      broker.app.get(DataSource).query(
        `select array_to_string(array(select name from pg_prepared_statements), ',') as name,
           current_setting('statement_timeout') as timeout, pg_sleep(0.2)`,
      );
    const rows = (await Promise.all([look(), look()])).flat();
    return {
      names: rows.map(({ name }) => name).filter(Boolean),
      timeouts: rows.map(({ timeout }) => timeout),
    };
  }

  it('keeps the statements of its connections by name, and sets them a limit', async () => {
    const { local } = await serving({});
    const { names, timeouts } = await sessionsOf(local);
    await local.broker.stop();
    expect(names).not.toEqual([]);
    expect(timeouts).toEqual(['10s', '10s']);
  });

  it('leaves nothing in a session and asks nothing of it behind a pooler, and says what limit the role needs', async () => {
    const { local, logs } = await serving({
      DATABASE_NAMED_STATEMENTS: 'off',
      DATABASE_DIRECT_URL: world.databaseUrl,
    });
    const sessions = await sessionsOf(local);
    expect(local.broker.app.get(Notifications).isLive()).toBe(true);
    await local.broker.stop();
    expect(sessions).toEqual({ names: [], timeouts: ['0', '0'] });
    expect(logs().join('')).toMatch(
      /no statement ends by itself .*alter role \S+ set statement_timeout = '10s'/,
    );
  });

  it('does without notifications, and says nothing of it', async () => {
    const { local, logs } = await serving({ DATABASE_NOTIFICATIONS: 'off' });
    const notifications = local.broker.app.get(Notifications);
    const listening = await world.sql(
      `select 1 from pg_stat_activity
        where datname = current_database() and application_name = 'token-broker listen'`,
    );
    expect([notifications.isLive(), listening]).toEqual([false, []]);
    await local.broker.stop();
    expect(logs().join('')).not.toMatch(NO_NOTIFICATIONS);
  });

  it('believes no channel that does not bring what it says itself, and tells once what to set', async () => {
    const cable = new Cable(new URL(world.databaseUrl));
    cable.deafen();
    const { local, logs } = await serving({ DATABASE_DIRECT_URL: await cable.open() });
    const isLive = (): boolean => local.broker.app.get(Notifications).isLive();
    expect(isLive()).toBe(false);
    // A look later it still does not.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(isLive()).toBe(false);
    const warnings = logs().filter((line) => NO_NOTIFICATIONS.test(line));
    await local.broker.stop();
    cable.close();
    expect(warnings).toEqual([expect.stringContaining('is not heard at DATABASE_DIRECT_URL')]);
  });

  it('names the variable whose password is refused', async () => {
    const wrong = new URL(world.databaseUrl);
    wrong.password = 'test-secret-wrong';
    await expect(world.local({ DATABASE_DIRECT_URL: wrong.href })).rejects.toThrow(
      'the password in DATABASE_DIRECT_URL is refused',
    );
  });

  it('does not start where what it migrates is not what it uses', async () => {
    const empty = await createTestDatabase();
    const client = new Client({ connectionString: empty.url });
    await client.connect();
    await client.query('drop schema public cascade; create schema public');
    await client.end();
    await expect(
      world.local({ DATABASE_URL: empty.url, DATABASE_DIRECT_URL: world.databaseUrl }),
    ).rejects.toThrow('DATABASE_DIRECT_URL leads to another database than DATABASE_URL');
    // Nor the other way round, where nothing would be missing: it would be made in the wrong one.
    await expect(
      world.local({ DATABASE_URL: world.databaseUrl, DATABASE_DIRECT_URL: empty.url }),
    ).rejects.toThrow('DATABASE_DIRECT_URL leads to another database than DATABASE_URL');
    const look = new Client({ connectionString: empty.url });
    await look.connect();
    expect((await look.query("select 1 from pg_tables where tablename = 'connections'")).rows).toEqual([]);
    await look.end();
    await empty.drop();
  });
});
