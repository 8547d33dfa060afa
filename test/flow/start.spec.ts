import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, escapeIdentifier } from 'pg';
import { ask, eventually } from '../support/http.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { inheritedUnpacked, Replica, type Ended } from '../support/replica.js';
import { ADMIN_KEY, useWorld } from '../support/world.js';

const COMMANDS = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const STEPS = readdirSync(new URL('../../migrations/', import.meta.url)).length;

/** Whoever migrates a database, or waits until another has. */
const MIGRATING = `select 1 from pg_stat_activity
  where datname = $1 and application_name = 'token-broker migrate'`;

/** Runs a command of ours to its end, in `cwd`. */
async function run(command: string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Ended> {
  const child = spawn(process.execPath, [COMMANDS, ...command], {
    env: { ...inheritedUnpacked(), ...env },
    cwd,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  await once(child, 'close');
  return { code: child.exitCode, output };
}

/** The processes that one has started, as Linux tells; elsewhere nobody can look. */
function childrenOf(pid: number | undefined): string[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc').filter((name) => {
    try {
      return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1] === String(pid);
    } catch {
      return false; // no process, or one that has just ended
    }
  });
}

describe('the start', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-start-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What it says by default. */
  const environment = (changes: Record<string, string | undefined> = {}): Record<string, string> =>
    world.environment({ LOG_LEVEL: undefined, ...changes });

  describe('ends with 78', () => {
    it('and a line for every mistake, none of which quotes a secret', async () => {
      const { code, output } = await Replica.runToEnd(
        environment({
          PORT: 'many',
          ENCRYPTION_KEYS: 'test-secret',
          ADMIN_KEY: 'test-secret',
          FYND_API_KEY: '',
        }),
      );
      expect(code).toBe(78);
      expect(output.trim().split('\n')).toEqual([
        'token-broker: PORT must be a port from 0 to 65535 (0 picks a free one) or off',
        expect.stringMatching(/^token-broker: ENCRYPTION_KEYS: entry 1 must be id:base64-of-32-bytes/),
        expect.stringMatching(/^token-broker: ADMIN_KEY must have at least 32 characters/),
        expect.stringMatching(/^token-broker: provider "fynd": FYND_API_KEY is not set while/),
      ]);
      expect(output).not.toContain('test-secret');
    });

    it('and a line for each variable that it cannot do without', async () => {
      const { code, output } = await Replica.runToEnd({});
      expect(code).toBe(78);
      expect(output.trim().split('\n')).toEqual([
        expect.stringMatching(/^token-broker: DATABASE_URL is not set/),
        expect.stringMatching(/^token-broker: ENCRYPTION_KEYS is not set/),
      ]);
    });

    it.each([
      ['wrong password', (url: URL) => (url.password = 'test-secret-wrong'), /password|may not connect/],
      ['unknown user', (url: URL) => (url.username = 'nobody'), /password|user/],
      ['unknown database', (url: URL) => (url.pathname = '/nowhere'), /does not exist/],
    ])('and one line for the %s of a database', async (_, change, line) => {
      const url = new URL(world.databaseUrl);
      change(url);
      const { code, output } = await Replica.runToEnd(environment({ DATABASE_URL: url.href }));
      expect(code).toBe(78);
      expect(output.trim().split('\n')).toEqual([expect.stringMatching(/^token-broker: the .*DATABASE_URL/)]);
      expect(output).toMatch(line);
      expect(output).not.toContain(url.password);
    });
  });

  it('ends with 1 and one line where a port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const names = ['PORT', 'PUBLIC_PORT', 'OPS_PORT'];
    const ends = names.map((name) => Replica.runToEnd(environment({ [name]: String(port) })));
    expect(await Promise.all(ends)).toEqual(
      names.map((name) => ({
        code: 1,
        output: `token-broker: port ${port} is taken: free it, or set ${name} to another\n`,
      })),
    );
    other.close();
  });

  it('in production starts nothing beside it and writes no file', async () => {
    const home = mkdtempSync(join(folder, 'home-'));
    const program = fileURLToPath(new URL('../../dist/packed/main.js', import.meta.url));
    const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: home, ...environment() };
    const child = spawn(process.execPath, [program], { env, cwd: home });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await eventually(() => output.includes('listening:') || child.exitCode !== null);
    const children = childrenOf(child.pid);
    child.kill('SIGTERM');
    await once(child, 'close');
    expect(child.exitCode).toBe(0);
    expect(children).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
    expect(output).not.toMatch(/simulator|embedded|tbk_/i);
  });

  it('gives back the memory that it took, where Node lets it', async () => {
    const resident = async (options: string): Promise<number> => {
      const replica = await world.replica({ NODE_OPTIONS: options });
      const status = readFileSync(`/proc/${replica.pid}/status`, 'utf8');
      await replica.stop();
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    };
    if (!existsSync('/proc')) return;
    expect(await resident('--expose-gc')).toBeLessThan((await resident('')) - 5);
  });

  it('takes another ADMIN_KEY as soon as its file holds one, and forgets the former', async () => {
    const path = join(folder, 'admin-key');
    writeFileSync(path, ADMIN_KEY);
    const replica = await world.replica({ ADMIN_KEY: undefined, ADMIN_KEY_FILE: path });
    const status = async (key: string): Promise<number> =>
      (await ask('GET', `${replica.api}/v1/connections`, { authorization: `Bearer ${key}` })).status;
    const other = ADMIN_KEY.replace('admin', 'other');
    expect([await status(ADMIN_KEY), await status(other)]).toEqual([200, 401]);
    writeFileSync(`${path}.new`, `${other}\n`);
    renameSync(`${path}.new`, path);
    await eventually(async () => (await status(other)) === 200);
    expect(await status(ADMIN_KEY)).toBe(401);
  });

  describe('of an empty database', () => {
    let empty: TestDatabase;
    let client: Client;
    const tables = async (): Promise<string[]> => {
      const { rows } = await client.query<{ name: string }>(
        `select tablename as name from pg_tables where schemaname = 'public' and tablename !~ '^audit_events_[0-9]' order by 1`,
      );
      return rows.map(({ name }) => name);
    };

    beforeAll(async () => {
      empty = await createTestDatabase();
      client = new Client({ connectionString: empty.url });
      client.on('error', () => undefined);
      await client.connect();
    });
    afterAll(async () => {
      await client.end();
      await empty.drop();
    });

    async function clear(): Promise<void> {
      await client.query('drop schema public cascade; create schema public');
    }

    it('migrates it, alone or with others that start at once, and each step once', async () => {
      const expected = await tables();
      await clear();
      // All three are there when the first of them is let go.
      await client.query('begin; create table migrations (id integer)');
      const starts = [1, 2, 3].map(() => world.replica({ DATABASE_URL: empty.url }));
      const name = new URL(empty.url).pathname.slice(1);
      await eventually(async () => (await world.sql(MIGRATING, [name])).length === 3);
      await client.query('rollback');
      const replicas = await Promise.all(starts);
      expect(await tables()).toEqual(expected);
      expect((await client.query('select 1 from migrations')).rows).toHaveLength(STEPS);
      const told = replicas.flatMap(({ output }) => output.match(/migrated: /g) ?? []);
      expect(told).toHaveLength(STEPS);
      for (const { api } of replicas) expect((await ask('GET', `${api}/health/ready`)).status).toBe(200);
      await Promise.all(replicas.map((replica) => replica.stop()));
    });

    it('ends with a clear line, and migrates nothing, where migrating is left to somebody else', async () => {
      await clear();
      const { code, output } = await Replica.runToEnd(
        environment({ DATABASE_URL: empty.url, MIGRATE_ON_START: 'false' }),
      );
      expect(await tables()).not.toContain('connections');
      expect(code).toBe(78);
      expect(output.trim().split('\n')).toEqual([expect.stringMatching(/^token-broker: .*migrat/)]);
    });

    it('migrates it whatever limits its user has, which are for the service', async () => {
      await clear();
      const name = escapeIdentifier(new URL(empty.url).pathname.slice(1));
      // The first index takes longer than a statement of this user may, and than it may leave a transaction idle.
      await client.query(`
        alter database ${name} set statement_timeout = '1s';
        alter database ${name} set idle_in_transaction_session_timeout = '1s';
        create sequence indexes;
        create function linger() returns event_trigger language plpgsql as
          $$ begin if nextval('indexes') = 1 then perform pg_sleep(1.3); end if; end $$;
        create event trigger lingers on ddl_command_start when tag in ('CREATE INDEX') execute function linger()`);
      const { code, output } = await run(['migrate'], { DATABASE_URL: empty.url });
      await client.query(`drop event trigger lingers; alter database ${name} reset all`);
      expect([code, output.match(/migrated: /g)?.length]).toEqual([0, STEPS]);
    });

    it('is prepared by the program that migrates alone, from any folder, and again without harm', async () => {
      await clear();
      const [first, second] = [
        await run(['migrate'], { DATABASE_URL: empty.url }, folder),
        await run(['migrate'], { DATABASE_URL: empty.url }, folder),
      ];
      expect([first.code, second]).toEqual([0, { code: 0, output: 'nothing to migrate\n' }]);
      expect(first.output.match(/^migrated: [a-z0-9-]+\d{13}$/gm)).toHaveLength(STEPS);
      expect(await tables()).toContain('connections');
    });
  });

  it('of migrations alone ends with 78 and one line where it is not told a good database', async () => {
    for (const DATABASE_URL of [undefined, 'not a url test-secret']) {
      const { code, output } = await run(['migrate'], { ...(DATABASE_URL && { DATABASE_URL }) });
      expect(code).toBe(78);
      expect(output).toMatch(/^token-broker: DATABASE_URL [^\n]+\n$/);
      expect(output).not.toContain('test-secret');
    }
  });

  it('of the command line names what there is, and ends with 1 where a command is none', async () => {
    const help = await run(['--help'], {});
    expect(help.code).toBe(0);
    for (const name of ['migrate', 'after-restore'])
      expect(help.output).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(await run(['migrat'], {})).toEqual({
      code: 1,
      output: expect.stringMatching(/^token-broker: unknown command 'migrat'\n\(Did you mean migrate\?\)/),
    });
    expect(await run(['migrate', 'twice'], {})).toEqual({
      code: 1,
      output: expect.stringMatching(/^token-broker: too many arguments/),
    });
  });
});
