import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, folderError, SurroundingsError } from './surroundings-error.js';

/** Makes the folder (for its owner alone) where it does not exist, and returns its real path. */
export function openDataFolder(path: string): string {
  try {
    makeFolder(resolve(path));
    return realpathSync(path);
  } catch (error) {
    throw folderError(error, path);
  }
}

/** mkdirSync with `recursive` never returns where a folder exists that takes none, such as /proc. */
function makeFolder(path: string): void {
  if (existsSync(path) && statSync(path).isDirectory()) return;
  if (!existsSync(dirname(path))) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another start may have been quicker.
    if (codeOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}

/**
 * Takes the folder for this program alone and returns the function that gives it back.
 * A lock whose owner has died (kill -9, power cut) is taken over; a living owner means a SurroundingsError.
 */
export async function lockDataFolder(folder: string): Promise<() => void> {
  const lock = join(folder, 'postgres.lock');
  const mine = identityOf(process.pid);
  for (let attempt = 1; attempt <= 10; attempt++) {
    if (claim(lock, mine, folder)) {
      return () => {
        if (read(lock) === mine) rmSync(lock, { force: true });
      };
    }
    const owner = read(lock);
    if (owner && identityOf(Number.parseInt(owner, 10)) === owner) throw inUse(folder, owner);
    // An empty lock may be in the middle of being written: it counts as left behind only after a moment.
    if (owner || attempt > 5) discard(lock, owner);
    await sleep(20);
  }
  throw inUse(folder, read(lock));
}

/** The number of a running program with its start time, since the system uses numbers again; empty when there is none. */
export function identityOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name in parentheses may hold spaces. After it: the state, and 19 fields on the start time (proc_pid_stat(5)).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? '' : `${pid} ${fields[19] ?? ''}`;
    }
    return `${pid} ${execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()}`;
  } catch {
    return '';
  }
}

function claim(lock: string, content: string, folder: string): boolean {
  try {
    writeFileSync(lock, content, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    rmSync(lock, { force: true }); // a full disk leaves an empty file
    throw folderError(error, folder);
  }
}

/** Removes a lock that was left behind, and puts it back if another start was quicker and it is no longer that one. */
function discard(lock: string, leftBehind: string): void {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
    const found = read(aside);
    if (found !== leftBehind) writeFileSync(lock, found, { flag: 'wx', mode: 0o600 });
  } catch {
    // Another start has removed or taken it meanwhile: the next attempt sees which.
  }
  rmSync(aside, { force: true });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function inUse(folder: string, owner: string): SurroundingsError {
  const pid = owner.split(' ')[0] ?? '';
  return new SurroundingsError(
    `The data folder ${folder} is in use by a broker that is running (pid ${pid}): stop it, or set DATA_DIR to another folder.`,
  );
}
