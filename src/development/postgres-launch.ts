import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { SurroundingsError } from './surroundings-error.js';

/** A user of this system, by its numbers. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** One way to start a program of PostgreSQL. */
export interface Launch {
  /** The file to start and its arguments. */
  command(program: string, args: readonly string[]): [file: string, args: string[]];
  /** Goes into the options of spawn. */
  readonly identity: Partial<Account>;
}

// Capabilities by their bit (capabilities(7)). Containers often have the second only.
const MAY_SEARCH_ANY_FOLDER = [
  ['dac_read_search', 2n],
  ['dac_override', 1n],
] as const;

/**
 * Who PostgreSQL runs as: undefined for the user who runs this program, unless that is root, whom PostgreSQL refuses.
 * Then it is the owner of the data that exists, else `nobody` or another user without rights.
 */
export function accountFor(existing: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = statSync(existing, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };

  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([, , uid]) => Number(uid) > 0);
  const user = users.find(([name]) => name === 'nobody') ?? users[0];
  if (!user) {
    throw new SurroundingsError(
      'PostgreSQL does not run as root and /etc/passwd names no other user: run this as another user, or set DATABASE_URL.',
    );
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/**
 * The ways to try, best first. setpriv makes PostgreSQL stop when this program is killed, and lends it the right to
 * search `folders` where its user may not. Systems without it start PostgreSQL plainly.
 */
export function launchesFor(account: Account | undefined, folders: readonly string[]): Launch[] {
  const plain: Launch = {
    command: (program, args) => [program, [...args]],
    identity: account ?? {},
  };
  if (process.platform !== 'linux') return [plain];
  const options = ['--pdeathsig', 'INT', ...privileges(account, folders)];
  const bound: Launch = {
    command: (program, args) => ['setpriv', [...options, program, ...args]],
    identity: {},
  };
  return [bound, plain];
}

function privileges(account: Account | undefined, folders: readonly string[]): string[] {
  if (!account) return [];
  const drop = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
  if (folders.every((folder) => maySearch(folder, account))) return drop;

  const held = BigInt(
    `0x${/CapEff:\s*([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`,
  );
  const lent = MAY_SEARCH_ANY_FOLDER.find(([, bit]) => held & (1n << bit))?.[0];
  if (!lent) return drop;
  // Without no_setuid_fixup, access(2) disregards what was lent, and initdb asks access(2) before it starts postgres.
  return [...drop, `--inh-caps=+${lent}`, `--ambient-caps=+${lent}`, '--securebits=+no_setuid_fixup'];
}

function maySearch(folder: string, { uid, gid }: Account): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (!found) return true; // the start will say what is missing
  const wanted = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
  if (!(found.mode & wanted)) return false;
  const above = dirname(folder);
  return above === folder || maySearch(above, { uid, gid });
}
