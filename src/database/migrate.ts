import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import { clientConfig, createDataSource, type DatabaseAddress } from './data-source.js';

/** Any number would do, as long as every replica takes the same one. */
const MIGRATION_LOCK = 7_405_926;

/** Runs all steps that are missing, and returns their names. Replicas that start together wait for each other. */
export async function migrate(url: string, ca: string | null = null): Promise<string[]> {
  const address: DatabaseAddress = { url: () => url, ca };
  const dataSource = await createDataSource(address, 2).initialize();
  try {
    return await migrateUnderLock(dataSource, address);
  } finally {
    await dataSource.destroy();
  }
}

/** As `migrate`, over a data source that is connected already. */
export async function migrateUnderLock(dataSource: DataSource, address: DatabaseAddress): Promise<string[]> {
  // The lock lives as long as its session: a replica that dies in the middle lets the next one in.
  const lock = new Client({ ...clientConfig(address), application_name: 'token-broker migrate' });
  await lock.connect();
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const done = await dataSource.runMigrations();
    return done.map((step) => step.name);
  } finally {
    await lock.end();
  }
}
