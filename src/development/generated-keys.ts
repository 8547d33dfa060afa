import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataFolder } from './data-folder.js';
import { given } from './given.js';
import { folderError } from './surroundings-error.js';

/**
 * Makes the keys that the user has not given, each in a file (0600) of the data folder, and keeps those that are there.
 * Returns the variables that lead to them.
 */
export function generateKeys(env: NodeJS.ProcessEnv, dataDir: string): NodeJS.ProcessEnv {
  const found: NodeJS.ProcessEnv = {};
  if (!given(env, 'ADMIN_KEY')) {
    found.ADMIN_KEY_FILE = keep(
      dataDir,
      'admin-key',
      () => `tbk_admin_${randomBytes(32).toString('base64url')}`,
    );
  }
  if (!given(env, 'ENCRYPTION_KEYS')) {
    found.ENCRYPTION_KEYS_FILE = keep(
      dataDir,
      'encryption-keys',
      () => `dev-1:${randomBytes(32).toString('base64')}`,
    );
  }
  return found;
}

/** Never replaces a file: tokens sealed with a key are lost without it. Never leaves half a file, either. */
function keep(dataDir: string, name: string, make: () => string): string {
  const folder = openDataFolder(dataDir);
  const path = join(folder, name);
  if (existsSync(path)) return path;
  const unfinished = `${path}.${process.pid}`;
  try {
    writeFileSync(unfinished, `${make()}\n`, { mode: 0o600 });
    linkSync(unfinished, path); // refuses where another start was quicker
  } catch (error) {
    if (!existsSync(path)) throw folderError(error, folder);
  } finally {
    rmSync(unfinished, { force: true });
  }
  return path;
}
