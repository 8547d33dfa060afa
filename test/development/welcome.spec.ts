import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startSimulator } from '../../src/development/simulator-child.js';
import { welcomeText } from '../../src/development/welcome-text.js';

const THIS_FILE = fileURLToPath(import.meta.url);
const addresses = { internal: 'http://127.0.0.1:8080', public: 'http://127.0.0.1:8081' };
const simulator = { url: 'http://127.0.0.1:8090', fynd: true, konnect: true, connect: true };

describe('the text that a start in development prints', () => {
  let folder: string;

  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'token-broker-welcome-')), "o'clock & more");
    await mkdir(folder);
  });
  afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

  test('has commands that a shell reads as they are meant, whatever the path, and never shows the key', async () => {
    const ADMIN_KEY_FILE = join(folder, 'admin-key');
    await writeFile(ADMIN_KEY_FILE, 'the-key\n');
    const environment = { ADMIN_KEY_FILE, FYND_API_KEY: 'demo-key' };
    const text = welcomeText({ ...addresses, environment, simulator, demoConnected: true });

    expect(text).not.toContain('the-key');
    const command = text.split('\n').find((line) => line.includes('location_then_company')) ?? '';
    const seen = execFileSync('bash', ['-c', `curl() { printf '%s|' "$@"; }; ${command}`], {
      encoding: 'utf8',
    });
    expect(seen).toBe(
      String.raw`-sS|-w|\n|-H|Authorization: Bearer the-key|` +
        'http://127.0.0.1:8080/v1/tokens/konnect/companies/1/locations/11?level=location_then_company|',
    );
    expect(text).toContain(
      'http://127.0.0.1:8081/fp/install?company_id=1&client_id=demo-key&cluster_url=http%3A%2F%2F127.0.0.1%3A8090',
    );
  });

  test('says nothing of a demo company or a simulator where the user has given the providers', () => {
    const environment = { ADMIN_KEY: 'given by the user', FYND_API_KEY: 'own' };
    const text = welcomeText({ ...addresses, environment, simulator: undefined, demoConnected: false });

    expect(text).not.toMatch(/demo|simulator|install|konnect|given by the user/i);
    expect(text).toContain('"Authorization: Bearer $ADMIN_KEY"');
  });

  test('is not reached where the port of the simulator is taken: the start names it and the variable', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const taken = other.address();
    const port = typeof taken === 'object' && taken ? String(taken.port) : '';

    await expect(startSimulator({ SIMULATOR_PORT: port }, THIS_FILE)).rejects.toMatchObject({
      name: 'SurroundingsError',
      message: `Port ${port}, where the simulator should listen, is taken: free it, or set SIMULATOR_PORT to another port.`,
    });
    other.close();
    await once(other, 'close');
  });
});
