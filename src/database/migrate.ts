import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import type { DatabaseAddress } from './address.js';
import { clientConfig, createDataSource } from './data-source.js';
import { explainRefusal } from './refusal.js';

/** Any number would do, as long as every replica takes the same one. */
const MIGRATION_LOCK = 7_405_926;
const LOOK_AGAIN_MS = 200;
/** Between two tries to get a lock that somebody holds, such as a dump of the table: others get through meanwhile. */
const LOCK_AGAIN_MS = 1_000;
const LOCK_NOT_AVAILABLE = '55P03';

const logger = new Logger('Migration');

/**
 * Runs all steps that are missing, and returns their names. Replicas that start together wait for each other. Throws a
 * ConfigurationError where the database refuses us.
 */
export async function migrate(address: DatabaseAddress): Promise<string[]> {
  const lock = new Client({ ...clientConfig(address), application_name: 'token-broker migrate' });
  // It may break while nothing is asked of it.
  lock.on('error', () => undefined);
  const dataSource = createDataSource(address, 2, 0);
  try {
    await lock.connect();
    while (!(await takeLock(lock))) await sleep(LOOK_AGAIN_MS);
    await dataSource.initialize();
    return await runAll(dataSource);
  } catch (error) {
    throw explainRefusal(error, address);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
    await lock.end().catch(() => undefined);
  }
}

/** The names of those that have run. A step that cannot have its locks at once comes again; those before it stay done. */
async function runAll(dataSource: DataSource): Promise<string[]> {
  const before = new Set(await namesOf(dataSource));
  for (;;) {
    try {
      await dataSource.runMigrations();
      return (await namesOf(dataSource)).filter((name) => !before.has(name));
    } catch (error) {
      if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
      logger.warn('waiting: somebody holds a table that a step of the migration changes');
      await sleep(LOCK_AGAIN_MS);
    }
  }
}

async function namesOf(dataSource: DataSource): Promise<string[]> {
  if ((await dataSource.query<{ is: boolean }[]>(`select to_regclass('migrations') is null as is`))[0]?.is)
    return [];
  const rows = await dataSource.query<{ name: string }[]>('select name from migrations order by id');
  return rows.map(({ name }) => name);
}

/**
 * A transaction holds the lock, as behind a pooler nothing else does: a replica that dies in the middle lets the next one
 * in. Whoever waits does so outside of one, or the pooler might have no connection left for the one who migrates.
 */
async function takeLock(client: Client): Promise<boolean> {
  await client.query('begin; set local idle_in_transaction_session_timeout = 0');
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_xact_lock($1) as taken', [
    MIGRATION_LOCK,
  ]);
  if (rows[0]?.taken) return true;
  await client.query('rollback');
  return false;
}
