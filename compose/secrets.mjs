// Makes what docker-compose.yml keeps secret, each in a file of the folder that is given, and never replaces one: what is sealed
// with a key is lost without it. Only containers that mount the folder can read them.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);

function keep(name, make) {
  const path = join(folder, name);
  if (!existsSync(path)) {
    // A container that is killed here leaves no half of a key.
    writeFileSync(`${path}.new`, make(), { mode: 0o444 });
    renameSync(`${path}.new`, path);
    console.log(`made ${path}`);
  }
  return readFileSync(path, 'utf8');
}

const password = keep('database-password', () => randomBytes(24).toString('base64url'));
keep('database-url', () => `postgres://broker:${password}@database:5432/broker`);
keep('encryption-keys', () => `demo-1:${randomBytes(32).toString('base64')}`);
keep('admin-key', () => `tbk_admin_${randomBytes(32).toString('base64url')}`);
