import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { DatabaseAddress } from './address.js';
import { clientConfig, createDataSource } from './data-source.js';
import { explainRefusal } from './refusal.js';

/** Any number would do, as long as every replica takes the same one. */
const MIGRATION_LOCK = 7_405_926;
const LOOK_AGAIN_MS = 200;

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
    const done = await dataSource.runMigrations();
    return done.map((step) => step.name);
  } catch (error) {
    throw explainRefusal(error, address);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
    await lock.end().catch(() => undefined);
  }
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
