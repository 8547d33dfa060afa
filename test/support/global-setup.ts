import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

declare global {
  /** Set by the global setup for the global teardown, which jest loads in the same program. */
  var stopTestPostgres: (() => Promise<void>) | undefined;
}

/** jest maps `./x.js` to the `./x.ts` beside it in tests only; outside them Node has to be told. */
const sourcesForJs = registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (!/^\.{1,2}\/.*\.js$/.test(specifier)) throw error;
      return next(specifier.replace(/\.js$/, '.ts'), context);
    }
  },
});

/**
 * Starts one PostgreSQL for the whole run, with the broker's tables in `broker_template`, of which every test file
 * gets a copy. It ends with this program, even when that is killed.
 */
export default async function globalSetup(): Promise<void> {
  // A broker that a test starts as a process of its own would spend half of its start on compiling.
  process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/test-programs');
  const { startPostgres } = await import('../../src/development/embedded-postgres.js');
  const dataDir = mkdtempSync(join(fastFolder(), 'token-broker-test-'));
  const remove = (): void => rmSync(dataDir, { recursive: true, force: true });
  try {
    // Another server than the newest, to run the whole suite on: the folder of an @embedded-postgres package.
    const binaries = process.env.TEST_POSTGRES_BINARIES;
    const postgres = await startPostgres({
      dataDir,
      durable: false,
      maxConnections: 300,
      ...(binaries ? { binaries } : {}),
    });
    globalThis.stopTestPostgres = () => postgres.stop().finally(remove);
    await prepareTemplate(postgres.url);
    process.env.TEST_POSTGRES_URL = postgres.url;
  } catch (error) {
    await (globalThis.stopTestPostgres?.() ?? remove());
    throw error;
  } finally {
    sourcesForJs.deregister();
  }
}

/** So much has to be free in memory, in bytes. */
const ROOM = 4e9;

/** In memory, where Linux has a folder there with room enough: a disk takes a while over a thousand files for every test file. */
function fastFolder(): string {
  const inMemory = '/dev/shm';
  try {
    accessSync(inMemory, constants.W_OK);
    const { bavail, bsize } = statfsSync(inMemory);
    return bavail * bsize > ROOM ? inMemory : tmpdir();
  } catch {
    return tmpdir();
  }
}

async function prepareTemplate(url: string): Promise<void> {
  const { Client } = await import('pg');
  const { migrate } = await import('../../src/database/migrate.js');
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('create database broker_template');
  } finally {
    await client.end();
  }
  const template = new URL(url);
  template.pathname = 'broker_template';
  await migrate({ url: () => template.href, ca: null });
}
