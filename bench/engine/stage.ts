import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { Client, escapeIdentifier } from 'pg';
import { type PostgresOptions, startPostgres } from '#broker/development/embedded-postgres.js';
import { startSimulator } from '#broker/development/simulator-child.js';

/** What a benchmark has to itself: a PostgreSQL, a simulator, and a folder for both. */
export interface Stage {
  readonly folder: string;
  readonly simulatorUrl: string;
  /** Makes an empty database; resolves to its URL. */
  readonly database: (name: string) => Promise<string>;
}

/** Runs with a stage, and takes it down. */
export async function onStage<T>(
  options: Pick<PostgresOptions, 'durable' | 'sharedBuffers'>,
  run: (stage: Stage) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-bench-'));
  try {
    const postgres = await startPostgres({ dataDir: folder, ...options });
    try {
      const simulator = await startSimulator({ PATH: env['PATH'], SIMULATOR_PORT: '0' });
      try {
        const database = async (name: string): Promise<string> => makeDatabase(postgres.url, name);
        return await run({ folder, simulatorUrl: simulator.url, database });
      } finally {
        await simulator.stop();
      }
    } finally {
      await postgres.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeDatabase(serverUrl: string, name: string): Promise<string> {
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  await client.query(`create database ${escapeIdentifier(name)}`);
  await client.end();
  return Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href;
}
