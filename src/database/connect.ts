import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import type { DatabaseSettings } from '../config/database-settings.js';
import { ConfigurationError } from '../config/mistakes.js';
import { directAddress, isPooled, pooledAddress } from './address.js';
import { clientConfig, createDataSource } from './data-source.js';
import { isAway } from './database.js';
import { migrate } from './migrate.js';
import { refuseLostNames, tellOfNoTimeout } from './pooler.js';
import { explainRefusal } from './refusal.js';

const OLDEST_VERSION = 150_000;
const RETRY_MS = 1_000;
const logger = new Logger('Database');

/**
 * Connects, waiting for a database that is not there yet, and runs the migrations. Throws a ConfigurationError
 * for what waiting does not mend.
 */
export async function connectDatabase(settings: DatabaseSettings): Promise<DataSource> {
  const dataSource = createDataSource(pooledAddress(settings), settings.poolSize);
  await patiently('DATABASE_URL', () => dataSource.initialize());
  try {
    await refuseOldServers(dataSource);
    if (settings.namedStatements) await refuseLostNames(dataSource);
    if (isPooled(settings)) await tellOfNoTimeout(dataSource, logger);
    if (settings.directUrl)
      await patiently('DATABASE_DIRECT_URL', () => refuseElsewhere(dataSource, settings));
    await migrateOrRefuse(dataSource, settings);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

async function migrateOrRefuse(dataSource: DataSource, settings: DatabaseSettings): Promise<void> {
  if (settings.migrateOnStart) {
    const direct = directAddress(settings);
    const steps = await patiently(direct.variable ?? 'DATABASE_URL', () => migrate(direct));
    for (const step of steps) logger.log(`migrated: ${step}`);
  }
  if (!(await dataSource.showMigrations())) return;
  throw new ConfigurationError([
    'the database lacks migrations: run `npm run migrate`, or set MIGRATE_ON_START=true',
  ]);
}

/** A database of a cluster; a standby is the same as what it follows. */
const WHICH_DATABASE = `
  select concat_ws('/', (select system_identifier from pg_control_system()), oid) as place
  from pg_database where datname = current_database()`;

/** Before anything is made there that belongs elsewhere. */
async function refuseElsewhere(dataSource: DataSource, settings: DatabaseSettings): Promise<void> {
  const client = new Client(clientConfig(directAddress(settings)));
  try {
    await client.connect();
    const [pooled] = await dataSource.query<{ place: string }[]>(WHICH_DATABASE);
    const [direct] = (await client.query<{ place: string }>(WHICH_DATABASE)).rows;
    if (pooled?.place === direct?.place) return;
  } finally {
    await client.end();
  }
  throw new ConfigurationError(['DATABASE_DIRECT_URL leads to another database than DATABASE_URL']);
}

async function patiently<T>(
  variable: 'DATABASE_URL' | 'DATABASE_DIRECT_URL',
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const explained = explainRefusal(error, { variable });
      if (explained !== error || !isAway(error)) throw explained;
      const code = (error as { code?: string }).code ?? 'no answer';
      if (attempt % 10 === 0) logger.warn(`waiting for the database of ${variable} (${code})`);
      await sleep(RETRY_MS);
    }
  }
}

async function refuseOldServers(dataSource: DataSource): Promise<void> {
  const [row] = await dataSource.query<{ version: number }[]>(
    `select current_setting('server_version_num')::int as version`,
  );
  if (row && row.version >= OLDEST_VERSION) return;
  throw new ConfigurationError(['DATABASE_URL leads to a PostgreSQL older than 15']);
}
