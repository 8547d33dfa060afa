import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import type { DatabaseSettings } from '../config/database-settings.js';
import { ConfigurationError } from '../config/mistakes.js';
import { StartWatch } from '../shared/start-watch.js';
import { directAddress, isPooled, pooledAddress } from './address.js';
import { clientConfig, createDataSource } from './data-source.js';
import { isAway } from './database.js';
import { migrate } from './migrate.js';
import { refuseLostNames, tellOfNoTimeout } from './pooler.js';
import { explainRefusal } from './refusal.js';

const OLDEST_VERSION = 150_000;
/** The first wait, doubling up to the longest; some of it is left to chance, so that replicas do not all come at once. */
const RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
/** It is told at first, and then each minute. */
const TELL_AGAIN_MS = 60_000;
const READ_ONLY = '25006';
const logger = new Logger('Database');

/**
 * Connects, waiting for a database that is not there yet, and runs the migrations. Throws a ConfigurationError
 * for what waiting does not mend.
 */
export async function connectDatabase(
  settings: DatabaseSettings,
  watch = new StartWatch(),
): Promise<DataSource> {
  const dataSource = createDataSource(pooledAddress(settings), settings.poolSize);
  await patiently('DATABASE_URL', watch, () => dataSource.initialize());
  try {
    await refuseOldServers(dataSource);
    if (settings.namedStatements) await refuseLostNames(dataSource);
    if (isPooled(settings)) await tellOfNoTimeout(dataSource, logger);
    if (settings.directUrl)
      await patiently('DATABASE_DIRECT_URL', watch, () => refuseElsewhere(dataSource, settings));
    await migrateOrRefuse(dataSource, settings, watch);
    await tellOfUnknownSteps(dataSource);
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

async function migrateOrRefuse(
  dataSource: DataSource,
  settings: DatabaseSettings,
  watch: StartWatch,
): Promise<void> {
  if (settings.migrateOnStart) {
    const direct = directAddress(settings);
    const steps = await patiently(direct.variable ?? 'DATABASE_URL', watch, () => migrate(direct));
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
  client.on('error', () => undefined);
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

/** A newer release has been here. Its steps run while this one serves, but nobody has tried them with any before. */
async function tellOfUnknownSteps(dataSource: DataSource): Promise<void> {
  const known = dataSource.migrations.map(({ name }) => name);
  const unknown = await dataSource.query<{ name: string }[]>(
    'select name from migrations where name <> all ($1) order by id',
    [known],
  );
  if (unknown.length === 0) return;
  logger.warn(
    `the database is ahead of this release, which does not know ${unknown.map(({ name }) => name).join(', ')}: ` +
      'it may serve beside the next release during an upgrade; do not go back further than that',
  );
}

async function patiently<T>(
  variable: 'DATABASE_URL' | 'DATABASE_DIRECT_URL',
  watch: StartWatch,
  work: () => Promise<T>,
): Promise<T> {
  let toldAt = -Infinity;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const result = await work();
      if (attempt > 0) logger.log(`the database of ${variable} is there`);
      return result;
    } catch (error) {
      const explained = explainRefusal(error, { variable });
      if (explained !== error || !isAway(error)) throw explained;
      const why = `waiting for the database of ${variable} (${troubleOf(error)})`;
      if (performance.now() - toldAt > TELL_AGAIN_MS) {
        logger.warn(why);
        toldAt = performance.now();
      }
      await watch.waitsFor(why);
      await sleep(Math.min(RETRY_MS * 2 ** attempt, LONGEST_RETRY_MS) * (0.5 + Math.random() / 2));
    }
  }
}

function troubleOf(error: unknown): string {
  const { code = 'no answer' } = error as { code?: string };
  return code === READ_ONLY ? 'it takes no writes, as a standby' : code;
}

async function refuseOldServers(dataSource: DataSource): Promise<void> {
  const [row] = await dataSource.query<{ version: number }[]>(
    `select current_setting('server_version_num')::int as version`,
  );
  if (row && row.version >= OLDEST_VERSION) return;
  throw new ConfigurationError(['DATABASE_URL leads to a PostgreSQL older than 15']);
}
