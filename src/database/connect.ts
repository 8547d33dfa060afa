import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { ConfigurationError } from '../config/mistakes.js';
import type { DatabaseSettings } from '../config/settings.js';
import { createDataSource, type DatabaseAddress } from './data-source.js';
import { isAway } from './database.js';
import { migrate } from './migrate.js';
import { explainRefusal } from './refusal.js';

const OLDEST_VERSION = 150_000;
const RETRY_MS = 1_000;

/**
 * Connects, waiting for a database that is not there yet, and runs the migrations. Throws a ConfigurationError
 * for what waiting does not mend.
 */
export async function connectDatabase(settings: DatabaseSettings): Promise<DataSource> {
  const logger = new Logger('Database');
  const address: DatabaseAddress = { url: () => settings.url.current.reveal(), ca: settings.ca };
  const dataSource = createDataSource(address, settings.poolSize);
  for (let attempt = 0; !dataSource.isInitialized; attempt += 1) {
    try {
      await dataSource.initialize();
    } catch (error) {
      const explained = explainRefusal(error);
      if (explained !== error || !isAway(error)) throw explained;
      const code = (error as { code?: string }).code ?? 'no answer';
      if (attempt % 10 === 0) logger.warn(`waiting for the database (${code})`);
      await sleep(RETRY_MS);
    }
  }
  await refuseOldServers(dataSource);
  if (settings.migrateOnStart) {
    for (const step of await migrate(address)) logger.log(`migrated: ${step}`);
  } else if (await dataSource.showMigrations()) {
    await dataSource.destroy();
    throw new ConfigurationError([
      'the database lacks migrations: run `npm run migrate`, or set MIGRATE_ON_START=true',
    ]);
  }
  return dataSource;
}

async function refuseOldServers(dataSource: DataSource): Promise<void> {
  const [row] = await dataSource.query<{ version: number }[]>(
    `select current_setting('server_version_num')::int as version`,
  );
  if (row && row.version >= OLDEST_VERSION) return;
  await dataSource.destroy();
  throw new ConfigurationError(['DATABASE_URL leads to a PostgreSQL older than 15']);
}
