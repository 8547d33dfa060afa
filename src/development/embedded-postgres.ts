import { Client } from 'pg';
import { lockDataFolder, openDataFolder } from './data-folder.js';
import { clusterFolder, openCluster } from './postgres-cluster.js';
import { accountFor } from './postgres-launch.js';
import { clearLeftover } from './postgres-leftover.js';
import { findPrograms } from './postgres-programs.js';
import { type PostgresServer, startServer } from './postgres-server.js';

/** What startPostgres takes. */
export interface PostgresOptions {
  /** Holds the database, its password (0600) and its log. Made where it does not exist. */
  readonly dataDir: string;
  /** Default: a free one, another at every start. */
  readonly port?: number;
  /** The npm package of PostgreSQL's programs, by name or absolute folder. Default: the one for this platform. */
  readonly binaries?: string;
  /** Default true. false leaves out fsync. */
  readonly durable?: boolean;
  /** Default 100. */
  readonly maxConnections?: number;
  /** As PostgreSQL writes it, `2GB`. Default: its own, which is for small databases. */
  readonly sharedBuffers?: string;
}

/** A PostgreSQL that belongs to this program. */
export interface EmbeddedPostgres {
  /** Leads to the broker's database, with the password. */
  readonly url: string;
  /** Stops PostgreSQL in order (a fast shutdown) and gives the folder back. May be called twice. */
  stop(): Promise<void>;
}

const DATABASE = 'token_broker';

/**
 * Starts a PostgreSQL of its own on 127.0.0.1 and makes its database on the first start.
 * It ends with this program, whichever way that ends (on Linux; elsewhere a kill -9 leaves it to the next start).
 * @throws SurroundingsError with one line that says what to do
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const folder = openDataFolder(options.dataDir);
  const unlock = await lockDataFolder(folder);
  let server: PostgresServer | undefined;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= (server?.stop() ?? Promise.resolve()).finally(unlock));
  try {
    const durable = options.durable ?? true;
    const account = accountFor(clusterFolder(folder));
    const programs = await findPrograms(folder, account, options.binaries);
    const cluster = await openCluster(folder, account, programs, durable);
    await clearLeftover(cluster.path);
    server = await startServer(folder, cluster, programs, {
      ...(options.port === undefined ? {} : { port: options.port }),
      durable,
      maxConnections: options.maxConnections ?? 100,
      ...(options.sharedBuffers === undefined ? {} : { sharedBuffers: options.sharedBuffers }),
    });
    return { url: await openDatabase(server.url), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openDatabase(maintenanceUrl: string): Promise<string> {
  const client = new Client({ connectionString: maintenanceUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (!rowCount) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
  const url = new URL(maintenanceUrl);
  url.pathname = DATABASE;
  return url.href;
}
