import { parseIntoClientConfig } from 'pg-connection-string';
import type { ClientConfig, PoolConfig } from 'pg';
import { DataSource } from 'typeorm';
import { readMigrations } from './migrations.js';

/** Milliseconds that a statement may wait for a free connection, and then run. */
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 10_000;

/** How to reach the database. `url` is asked anew for each connection's password, so that it can be changed live. */
export interface DatabaseAddress {
  readonly url: () => string;
  /** PEM; null trusts the system's authorities where the URL asks for TLS. */
  readonly ca: string | null;
}

/** What the pool and the listening connection have in common. */
export function clientConfig(address: DatabaseAddress): ClientConfig {
  const parsed = parseIntoClientConfig(address.url());
  return {
    ...parsed,
    password: () => parseIntoClientConfig(address.url()).password as string,
    ...(address.ca === null
      ? {}
      : { ssl: { ...(typeof parsed.ssl === 'object' ? parsed.ssl : {}), ca: address.ca } }),
    application_name: 'token-broker',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  };
}

/**
 * A TypeORM data source over a `pg` pool, not yet connected. Its migrations are the files of `migrations/`.
 *
 * @param statementTimeoutMs 0: none, for migrations, which may take long
 */
export function createDataSource(
  address: DatabaseAddress,
  poolSize: number,
  statementTimeoutMs = STATEMENT_TIMEOUT_MS,
): DataSource {
  const extra: PoolConfig = {
    ...clientConfig(address),
    statement_timeout: statementTimeoutMs,
    // The server's own limit does not help where the network swallows what it says.
    ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + 1_000 } : {}),
    max: poolSize,
  };
  return new DataSource({
    type: 'postgres',
    extra,
    migrations: readMigrations(),
    migrationsTransactionMode: 'each',
    migrationsTableName: 'migrations',
  });
}
