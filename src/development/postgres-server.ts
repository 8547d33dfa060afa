import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Cluster, DATABASE_USER } from './postgres-cluster.js';
import { explain } from './postgres-log.js';
import { PROGRAM_ENVIRONMENT, type PostgresPrograms } from './postgres-programs.js';
import { codeOf, SurroundingsError } from './surroundings-error.js';

/** A running PostgreSQL. `url` leads to its maintenance database. */
export interface PostgresServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** How PostgreSQL is to run. */
export interface ServerSettings {
  /** Default: a free one. */
  readonly port?: number;
  /** false leaves out fsync: for tests, whose data nobody needs after a power cut. */
  readonly durable: boolean;
  readonly maxConnections: number;
  /** Default: PostgreSQL's own. */
  readonly sharedBuffers?: string;
}

/** Recovery after a kill -9 is a matter of seconds; this is for slow disks. */
const READY_WITHIN_MS = 90_000;

/** Starts PostgreSQL on 127.0.0.1 alone, without a Unix socket, and waits until it answers a query. */
export async function startServer(
  dataFolder: string,
  cluster: Cluster,
  programs: PostgresPrograms,
  settings: ServerSettings,
): Promise<PostgresServer> {
  for (let attempt = 1; ; attempt++) {
    const port = settings.port ?? (await freePort());
    const log = join(dataFolder, 'postgres.log');
    const child = spawnServer(log, cluster, programs, { ...settings, port });
    const url = `postgres://${DATABASE_USER}:${cluster.password}@127.0.0.1:${port}/postgres`;
    try {
      if (await answers(child, url)) return { url, stop: () => stopServer(child) };
    } catch (error) {
      await stopServer(child);
      throw error;
    }
    const written = readFileSync(log, 'utf8');
    if (attempt === 10 || !passes(written, settings.port)) throw explain(written, dataFolder);
    await sleep(100);
  }
}

function spawnServer(
  log: string,
  cluster: Cluster,
  { postgres, launch }: PostgresPrograms,
  { port, durable, maxConnections, sharedBuffers }: ServerSettings & { port: number },
): ChildProcess {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    ...(sharedBuffers === undefined ? {} : { shared_buffers: sharedBuffers }),
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [file, args] = launch.command(postgres, ['-D', cluster.path, ...options]);
  const output = openSync(log, 'w', 0o600);
  // A group of its own: Ctrl-C in the terminal must not stop the database before the broker has closed its work.
  const child = spawn(file, args, {
    ...launch.identity,
    cwd: '/',
    env: PROGRAM_ENVIRONMENT,
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  const end = (): boolean => child.kill('SIGINT');
  process.once('exit', end);
  child.once('exit', () => process.removeListener('exit', end));
  child.once('error', () => process.removeListener('exit', end));
  return child;
}

/** A free port may be taken meanwhile; the memory of a killed PostgreSQL is in use until its last child has ended. */
function passes(written: string, fixedPort: number | undefined): boolean {
  if (fixedPort === undefined && written.includes('Address already in use')) return true;
  return written.includes('pre-existing shared memory block');
}

/** true once a query is answered, false if PostgreSQL ended before. */
async function answers(child: ChildProcess, url: string): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (running(child)) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined); // told by the query
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch (error) {
      if (codeOf(error) === '28P01') {
        throw new SurroundingsError(
          'The embedded PostgreSQL refuses its own password: delete the folder postgres in DATA_DIR to start afresh.',
        );
      }
      if (Date.now() > deadline) {
        throw new SurroundingsError(
          `The embedded PostgreSQL did not answer within ${READY_WITHIN_MS / 1000} s: see postgres.log in DATA_DIR.`,
        );
      }
    } finally {
      await client.end().catch(() => undefined);
    }
    await sleep(20);
  }
  return false;
}

async function stopServer(child: ChildProcess): Promise<void> {
  // Fast shutdown; then without a checkpoint; then at once.
  for (const [signal, patienceMs] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!running(child)) return;
    child.ref();
    const ended = once(child, 'exit');
    child.kill(signal);
    await Promise.race([ended, sleep(patienceMs, undefined, { ref: false })]);
  }
}

function running(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
