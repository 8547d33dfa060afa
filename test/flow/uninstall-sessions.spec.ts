import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openSession } from '../support/sessions.js';
import { hint, proveAll } from '../support/uninstalls.js';
import { useWorld } from '../support/world.js';

describe('a company that has uninstalled an extension that is online only', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has all of its sessions ended, however many there are', async () => {
    // Each session is asked about by itself, at the provider's pace.
    const file = join(folder, 'providers.yaml');
    writeFileSync(
      file,
      `providers:
  fynd: { kind: fynd-platform, base_url: '\${FYND_BASE_URL}', api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}',
          scopes: [company/products], access_mode: online, ui_url: 'https://extension.example/app', rate: 1000/s }
`,
    );
    const broker = await world.local({ PROVIDERS_FILE: file });
    for (let count = 1; count <= 52; count += 1) await openSession(world, broker, { companyId: '42' });
    await openSession(world, broker, { companyId: '43' });
    await world.simulator.uninstall('42');
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(await world.sql('select company_id from online_sessions')).toEqual([{ company_id: '43' }]);
  });
});
