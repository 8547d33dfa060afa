import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf } from './data-folder.js';
import { SurroundingsError } from './surroundings-error.js';

const ENDS_WITHIN_MS = 20_000;

/**
 * Clears what a killed broker may have left in the cluster, whose lock the caller holds: a PostgreSQL that still runs
 * or is just stopping is ended in order; a pid file whose number now belongs to another program is removed.
 * A pid file whose number belongs to nobody is left to PostgreSQL, which knows more about it.
 */
export async function clearLeftover(cluster: string): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  const pid = pidIn(pidFile);
  if (!pid) return;
  const identity = identityOf(pid);
  if (!identity) return;
  if (!commandLine(pid).includes(cluster)) {
    rmSync(pidFile, { force: true });
    return;
  }
  process.kill(pid, 'SIGINT');
  const deadline = Date.now() + ENDS_WITHIN_MS;
  while (identityOf(pid) === identity) {
    if (Date.now() > deadline) {
      throw new SurroundingsError(
        `A PostgreSQL from an earlier start still runs (pid ${pid}) and does not stop: end it with \`kill -QUIT ${pid}\`.`,
      );
    }
    await sleep(20);
  }
}

function pidIn(pidFile: string): number {
  try {
    return Number.parseInt(readFileSync(pidFile, 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}

function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-o', 'command=', '-ww', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}
