import { parseIntoClientConfig } from 'pg-connection-string';
import pg, { Client, Pool, type ClientConfig, type PoolConfig } from 'pg';
import { DataSource } from 'typeorm';
import type { DatabaseAddress } from './address.js';
import { readMigrations } from './migrations.js';

/** Milliseconds that a statement may wait for a free connection, and then run. */
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 10_000;
/** What the Internet causes are some short statements a consent, and those of a few hints; more would only wait for locks. */
export const PUBLIC_POOL_SIZE = 3;

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
  return new DataSource({
    type: 'postgres',
    // It would look for one by its name, and find another where this one is packed.
    driver: pg,
    extra: poolConfig(address, poolSize, statementTimeoutMs),
    migrations: readMigrations(),
    migrationsTransactionMode: 'each',
    migrationsTableName: 'migrations',
  });
}

/** A pool beside it, for what the public listener causes. It connects when it is first asked. */
export function createPublicPool(address: DatabaseAddress): Pool {
  const pool = new Pool({
    ...poolConfig(address, PUBLIC_POOL_SIZE, STATEMENT_TIMEOUT_MS),
    application_name: 'token-broker public',
  });
  // An idle connection that breaks is replaced by the next that is needed; without a listener it would end the process.
  pool.on('error', () => undefined);
  return pool;
}

function poolConfig(address: DatabaseAddress, max: number, statementTimeoutMs: number): PoolConfig {
  return {
    ...clientConfig(address),
    Client: clientOf(address),
    // A pooler's session is not the server's, and takes no such setting: there it is the role's, see docs/operations.md.
    ...(address.isPooler ? {} : { statement_timeout: statementTimeoutMs }),
    // The server's own limit does not help where the network swallows what it says.
    ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + 1_000 } : {}),
    max,
  };
}

/** A connection of the user whom the address names now: a store that hands out passwords for a while changes both. */
function clientOf(address: DatabaseAddress): typeof Client {
  return class extends Client {
    constructor(config: ClientConfig = {}) {
      // The pool hides the password from whoever prints its options, and so from a copy.
      const { password } = config;
      super({ ...config, password, user: parseIntoClientConfig(address.url()).user });
    }
  };
}
