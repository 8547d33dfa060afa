import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DEBIAN = '/usr/lib/postgresql';

/** What an operator types: a whole database into one file. */
export async function dump(url: string, file: string): Promise<void> {
  await run(program('pg_dump'), ['--format=custom', '--no-owner', `--file=${file}`, url]);
}

/** The same as SQL, to be read. */
export async function dumpAsSql(file: string): Promise<string> {
  const { stdout } = await run(program('pg_restore'), ['--file=-', file], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Into an empty database. */
export async function restore(file: string, url: string): Promise<void> {
  await run(program('pg_restore'), ['--exit-on-error', '--no-owner', `--dbname=${url}`, file]);
}

/** The newest that is installed; it has to be as new as the server, whose version the test chooses. */
function program(name: string): string {
  const versions = readdirOrNothing(DEBIAN).sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  const found = folders.map((folder) => join(folder, name)).find(isProgram);
  if (!found)
    throw new Error(`There is no ${name}: install it (Debian, Ubuntu: apt-get install postgresql-client).`);
  return found;
}

function readdirOrNothing(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
