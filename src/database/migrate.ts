import { Client } from 'pg';
import { explainRefusal } from './refusal.js';
import { clientConfig, createDataSource, type DatabaseAddress } from './data-source.js';

/** Any number would do, as long as every replica takes the same one. */
const MIGRATION_LOCK = 7_405_926;

/**
 * Runs all steps that are missing, and returns their names. Replicas that start together wait for each other. Throws a
 * ConfigurationError where the database refuses us.
 */
export async function migrate(address: DatabaseAddress): Promise<string[]> {
  // The lock lives as long as its session: a replica that dies in the middle lets the next one in.
  const lock = new Client({ ...clientConfig(address), application_name: 'token-broker migrate' });
  const dataSource = createDataSource(address, 2, 0);
  try {
    await lock.connect();
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await dataSource.initialize();
    const done = await dataSource.runMigrations();
    return done.map((step) => step.name);
  } catch (error) {
    throw explainRefusal(error);
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
    await lock.end();
  }
}
