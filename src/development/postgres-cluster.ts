import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, lchownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { folderError, messageOf, SurroundingsError } from './surroundings-error.js';
import type { Account } from './postgres-launch.js';
import { explain } from './postgres-log.js';
import { PROGRAM_ENVIRONMENT, type PostgresPrograms } from './postgres-programs.js';

/** The database's only user, and the name of the broker's database. */
export const DATABASE_USER = 'broker';

/** A PostgreSQL data folder that is ready to be started. */
export interface Cluster {
  readonly path: string;
  readonly password: string;
}

/** Where the cluster and its password live: a folder of PostgreSQL's own user. */
export function clusterFolder(dataFolder: string): string {
  return join(dataFolder, 'postgres');
}

/** Opens the cluster in the data folder, and makes it on the first start. */
export async function openCluster(
  dataFolder: string,
  account: Account | undefined,
  programs: PostgresPrograms,
  durable: boolean,
): Promise<Cluster> {
  const folder = clusterFolder(dataFolder);
  try {
    if (!existsSync(folder)) await makeCluster(dataFolder, account, programs, durable);
    else if (account && statSync(folder).uid === 0) giveTo(account, folder);
    requireVersion(folder, programs.major);
    return { path: join(folder, 'cluster'), password: readFileSync(join(folder, 'password'), 'utf8').trim() };
  } catch (error) {
    throw folderError(error, folder);
  }
}

/** initdb works in a folder beside it, which gets its name when it is complete: a start cut short leaves no half cluster. */
async function makeCluster(
  dataFolder: string,
  account: Account | undefined,
  { initdb, launch }: PostgresPrograms,
  durable: boolean,
): Promise<void> {
  const unfinished = join(dataFolder, 'postgres.unfinished');
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  const password = join(unfinished, 'password');
  writeFileSync(password, randomBytes(32).toString('base64url'), { mode: 0o600 });
  if (account) giveTo(account, unfinished);

  const [file, args] = launch.command(initdb, [
    ...['--pgdata', join(unfinished, 'cluster'), '--username', DATABASE_USER, '--pwfile', password],
    ...['--encoding', 'UTF8', '--locale', 'C', '--auth', 'scram-sha-256', '--no-instructions'],
    ...(durable ? [] : ['--no-sync']),
  ]);
  try {
    await promisify(execFile)(file, args, { ...launch.identity, cwd: '/', env: PROGRAM_ENVIRONMENT });
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw explain(messageOf(error), dataFolder);
  }
  renameSync(unfinished, clusterFolder(dataFolder));
}

function requireVersion(folder: string, major: string): void {
  const versionFile = join(folder, 'cluster', 'PG_VERSION');
  const found = existsSync(versionFile) ? readFileSync(versionFile, 'utf8').trim() : '';
  if (found === major) return;
  const holds = found ? `holds the data of PostgreSQL ${found}` : 'is not a complete PostgreSQL data folder';
  throw new SurroundingsError(
    `${folder} ${holds}, and this is PostgreSQL ${major}: delete that folder to start afresh, or set DATA_DIR to another one.`,
  );
}

function giveTo({ uid, gid }: Account, folder: string): void {
  chownSync(folder, uid, gid);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(folder, name), uid, gid);
  }
}
