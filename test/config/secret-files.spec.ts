import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Environment } from '../../src/config/environment.js';
import { ConfigurationError } from '../../src/config/mistakes.js';
import { readSettings, type Settings } from '../../src/config/settings.js';
import { eventually } from '../support/http.js';

const DATABASE_URL = 'postgres://u:test-secret-pw@127.0.0.1:5432/broker';
const admin = (name: string): string => `test-secret-${name}-`.padEnd(40, 'x');
const keys = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;

describe('a secret in a file', () => {
  let folder: string;
  const environments: Environment[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'token-broker-secrets-'));
  });
  afterEach(() => {
    for (const environment of environments.splice(0)) environment.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function file(name: string, content: string): string {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  }

  /** Changes files until that has been noticed: the first look of a watch may come after a single change. */
  async function until(change: () => void, isNoticed: () => boolean): Promise<void> {
    await eventually(() => {
      change();
      return isNoticed();
    });
  }

  /** As an orchestrator changes a mounted secret, in one step. */
  function swap(path: string, content: string): void {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  }

  function read(changes: Record<string, string>): Settings {
    const defaults = 'ENCRYPTION_KEYS_FILE' in changes ? {} : { ENCRYPTION_KEYS: keys('k1') };
    const environment = new Environment({ DATABASE_URL, ...defaults, ...changes });
    environments.push(environment);
    return readSettings(environment);
  }

  function mistakes(changes: Record<string, string>): readonly string[] {
    try {
      read(changes);
    } catch (error) {
      if (error instanceof ConfigurationError) return error.lines;
      throw error;
    }
    return [];
  }

  it.each(['', '\n', '\r\n'])('is read without the %j at its end', (end) => {
    const ADMIN_KEY_FILE = file('admin', `${admin('a')}${end}`);
    expect(read({ ADMIN_KEY_FILE }).adminKey?.current.reveal()).toBe(admin('a'));
  });

  it('is not to be given as a variable too', () => {
    const given = { ADMIN_KEY: admin('a'), ADMIN_KEY_FILE: file('admin', admin('b')) };
    expect(mistakes(given)).toEqual(['ADMIN_KEY and ADMIN_KEY_FILE are both set: keep one']);
  });

  it('has to be there, and readable', () => {
    const missing = join(folder, 'missing');
    expect(mistakes({ ADMIN_KEY_FILE: missing, ENCRYPTION_KEYS_FILE: folder })).toEqual([
      `ENCRYPTION_KEYS_FILE: cannot read ${folder} (EISDIR)`,
      `ADMIN_KEY_FILE: cannot read ${missing} (ENOENT)`,
    ]);
  });

  it('is checked like a variable, and its content is not quoted', () => {
    const ADMIN_KEY_FILE = file('admin', 'test-secret');
    const ENCRYPTION_KEYS_FILE = file('keys', 'test-secret');
    const lines = mistakes({ ADMIN_KEY_FILE, ENCRYPTION_KEYS_FILE });
    expect(lines).toHaveLength(2);
    expect(lines.join('\n')).not.toContain('test-secret');
  });

  it("can be a provider's, and counts as set", () => {
    const settings = read({
      FYND_API_KEY: 'extension-1',
      FYND_API_SECRET_FILE: file('fynd', 'test-secret-f\n'),
    });
    const [fynd] = settings.providers;
    expect(fynd).toMatchObject({ name: 'fynd', apiKey: 'extension-1' });
    expect(fynd?.kind === 'fynd-platform' && fynd.apiSecret.current.reveal()).toBe('test-secret-f');
  });

  it('is read again when it changes, whatever it is for, and whoever watches it is told', async () => {
    const [first, second] = [keys('k1'), keys('k2')];
    const files = {
      ADMIN_KEY_FILE: file('admin', admin('a')),
      ENCRYPTION_KEYS_FILE: file('keys', first),
      FYND_API_SECRET_FILE: file('fynd', 'test-secret-f1'),
      DATABASE_DIRECT_URL_FILE: file('direct', DATABASE_URL),
    };
    const settings = read({ ...files, FYND_API_KEY: 'extension-1' });
    const [fynd] = settings.providers;
    if (fynd?.kind !== 'fynd-platform') throw new Error('fynd is configured');
    const told: string[] = [];
    settings.adminKey?.onChange((key) => told.push(key.reveal()));
    const log = jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    expect(fynd.apiSecret.current.reveal()).toBe('test-secret-f1');

    await until(
      () => {
        swap(files.ADMIN_KEY_FILE, `${admin('b')}\n`);
        swap(files.ENCRYPTION_KEYS_FILE, `${second},${first}`);
        swap(files.FYND_API_SECRET_FILE, 'test-secret-f2');
        swap(files.DATABASE_DIRECT_URL_FILE, `${DATABASE_URL}2`);
      },
      () =>
        settings.database.directUrl?.current.reveal() === `${DATABASE_URL}2` &&
        settings.adminKey?.current.reveal() === admin('b') &&
        settings.encryptionKeys.current.length === 2 &&
        fynd.apiSecret.current.reveal() === 'test-secret-f2',
    );
    expect(settings.encryptionKeys.current.map(({ id }) => id)).toEqual(['k2', 'k1']);
    expect(told).toEqual([admin('b')]);
    expect(log.mock.calls.flat().sort()).toEqual([
      'ADMIN_KEY_FILE was read again',
      'ENCRYPTION_KEYS_FILE was read again: k2, k1',
    ]);
    log.mockRestore();
  });

  it('stays in force while its file is gone, empty or wrong, and until it is good again', async () => {
    const said: string[] = [];
    const tell = (line: unknown): void => void said.push(String(line));
    Logger.overrideLogger({ log: tell, warn: tell, error: tell });
    const ADMIN_KEY_FILE = file('admin', admin('a'));
    const KEYS_FILE = file('keys', keys('k1'));
    const FYND_API_SECRET_FILE = file('fynd', 'test-secret-f1');
    const fyndFiles = { FYND_API_KEY: 'extension-1', FYND_API_SECRET_FILE };
    const settings = read({ ADMIN_KEY_FILE, ENCRYPTION_KEYS_FILE: KEYS_FILE, ...fyndFiles });
    const [fynd] = settings.providers;
    if (fynd?.kind !== 'fynd-platform') throw new Error('fynd is configured');
    const bad = [
      (): void => rmSync(ADMIN_KEY_FILE, { force: true }),
      (): void => swap(ADMIN_KEY_FILE, ''),
      (): void => swap(ADMIN_KEY_FILE, 'short'),
    ];
    for (const [index, spoil] of bad.entries()) {
      // The other file is good, so that it shows when both have been looked at.
      const change = (): void => {
        spoil();
        swap(FYND_API_SECRET_FILE, '');
        swap(KEYS_FILE, keys(`k${index + 2}`));
      };
      await until(change, () => settings.encryptionKeys.current[0].id === `k${index + 2}`);
      expect(settings.adminKey?.current.reveal()).toBe(admin('a'));
      expect(fynd.apiSecret.current.reveal()).toBe('test-secret-f1');
    }
    await eventually(() => /a file was read again and is of no use.*ADMIN_KEY must have/.test(said.join('')));
    swap(ADMIN_KEY_FILE, '');
    await eventually(() =>
      said.join('').includes('ADMIN_KEY_FILE is empty; what it held before stays in force'),
    );
    expect(said.join('')).toContain('FYND_API_SECRET_FILE is empty');
    expect(said.join('')).not.toContain('short');
    const mend = (): void => swap(ADMIN_KEY_FILE, admin('b'));
    await until(mend, () => settings.adminKey?.current.reveal() === admin('b'));
  });

  it('is read again when the link that it is mounted by leads elsewhere', async () => {
    for (const day of ['monday', 'tuesday']) {
      mkdirSync(join(folder, day));
      file(`${day}/admin`, admin(day));
    }
    symlinkSync('monday', join(folder, 'today'));
    const settings = read({ ADMIN_KEY_FILE: join(folder, 'today', 'admin') });
    expect(settings.adminKey?.current.reveal()).toBe(admin('monday'));
    symlinkSync('tuesday', join(folder, 'tomorrow'));
    // The watch has had its first look by the time that this has changed.
    const other = read({ ADMIN_KEY_FILE: file('other', admin('a')) });
    const change = (): void => swap(join(folder, 'other'), admin('b'));
    await until(change, () => other.adminKey?.current.reveal() === admin('b'));
    renameSync(join(folder, 'tomorrow'), join(folder, 'today'));
    await eventually(() => settings.adminKey?.current.reveal() === admin('tuesday'));
  });
});
