import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeys } from '../../src/development/generated-keys.js';

describe('the keys made for development', () => {
  let above: string;
  let folder: string;

  beforeEach(async () => {
    above = await mkdtemp(join(tmpdir(), 'token-broker-keys-'));
    folder = join(above, '.data');
  });
  afterEach(() => rm(above, { recursive: true, force: true }));

  test('are in files that only their owner can read, in a folder that only its owner can open', () => {
    const { ADMIN_KEY_FILE = '', ENCRYPTION_KEYS_FILE = '' } = generateKeys({}, folder);

    expect(readFileSync(ADMIN_KEY_FILE, 'utf8')).toMatch(/^tbk_admin_[A-Za-z0-9_-]{43}\n$/);
    expect(readFileSync(ENCRYPTION_KEYS_FILE, 'utf8')).toMatch(/^dev-1:[A-Za-z0-9+/]{43}=\n$/);
    for (const file of [ADMIN_KEY_FILE, ENCRYPTION_KEYS_FILE])
      expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test('are kept by every later start', async () => {
    const { ADMIN_KEY_FILE = '', ENCRYPTION_KEYS_FILE = '' } = generateKeys({}, folder);
    const first = [ADMIN_KEY_FILE, ENCRYPTION_KEYS_FILE].map((file) => readFileSync(file, 'utf8'));
    const again = generateKeys({}, folder);

    expect(again).toEqual({ ADMIN_KEY_FILE, ENCRYPTION_KEYS_FILE });
    expect([ADMIN_KEY_FILE, ENCRYPTION_KEYS_FILE].map((file) => readFileSync(file, 'utf8'))).toEqual(first);
    expect((await readdir(folder)).sort()).toEqual(['admin-key', 'encryption-keys']);
  });

  test('are not made where the user has given them', async () => {
    const env = { ADMIN_KEY: 'x'.repeat(32), ENCRYPTION_KEYS_FILE: '/run/secrets/encryption-keys' };

    expect(generateKeys(env, folder)).toEqual({});
    expect(await readdir(above)).toEqual([]);
  });
});
