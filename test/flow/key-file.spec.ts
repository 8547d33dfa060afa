import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SETTINGS } from '../../src/config/config.module.js';
import type { Settings } from '../../src/config/settings.js';
import { KeyRing } from '../../src/vault/key-ring.js';
import { ask, eventually, type Json } from '../support/http.js';
import { sealsWith } from '../support/keys.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const random = (): string => randomBytes(32).toString('base64');

const world = useWorld();
const folder = mkdtempSync(join(tmpdir(), 'token-broker-key-file-'));
const file = join(folder, 'encryption-keys');
const given = (): string => world.environment()['ENCRYPTION_KEYS'] ?? '';
/** Has the keys that were right from the start. */
let broker: LocalBroker;
/** Has them from the file. */
let replica: LocalBroker;

beforeAll(async () => {
  writeFileSync(file, given());
  broker = await world.local();
  replica = await world.local({ ENCRYPTION_KEYS: undefined, ENCRYPTION_KEYS_FILE: file });
  await world.keepKonnect(broker, '1');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a file with other bytes under an id', () => {
  const other = `test:${random()}`;

  const details = async (): Promise<unknown> =>
    ((await ask('GET', `${replica.api}/health/ready`)).body['details'] as Json)['keys'];
  const told = (): number => world.logs.filter((line) => line.includes('has another key under')).length;

  it('is told once, while the former bytes serve and wrap on, so that whoever has those can unwrap', async () => {
    writeFileSync(file, other);
    await eventually(() => told() > 0);
    expect(await details()).toEqual({
      status: 'degraded',
      reason: 'ENCRYPTION_KEYS has another key under test',
    });
    expect((await world.api(replica, 'GET', '/v1/tokens/konnect/companies/1')).status).toBe(200);
    const { body } = await world.api(replica, 'POST', '/v1/keys/rotate');
    expect(body['wrapped_by']).toBe('test');
    await eventually(() => sealsWith(broker) === body['id']);
    expect(told()).toBe(1);

    writeFileSync(file, given());
    await eventually(async () => ((await details()) as Json)['status'] === 'up');
  });

  it('is taken where that id has wrapped nothing, as where a mistake in a key to come is mended', async () => {
    const [wrong, right] = [`later:${random()}`, `later:${random()}`];
    const ring = replica.broker.app.get(KeyRing);
    for (const later of [wrong, right]) {
      writeFileSync(file, `${given()},${later}`);
      const settings = replica.broker.app.get<Settings>(SETTINGS);
      const key = later.split(':')[1];
      await eventually(() => {
        const [, last] = settings.encryptionKeys.current;
        return last && 'key' in last && last.key.export().toString('base64') === key;
      });
      await ring.refresh();
      expect([ring.kekIds, ring.misnamed]).toEqual([['test', 'later'], []]);
    }
    writeFileSync(file, `${right},${given()}`);
    await eventually(() => ring.firstKekId === 'later');
    expect((await world.api(replica, 'POST', '/v1/keys/rewrap')).status).toBe(200);
    // The right one has wrapped.
    const alone = await world.replica({ ENCRYPTION_KEYS: right });
    await alone.stop();
    writeFileSync(file, `${given()},${right}`);
    await eventually(() => ring.firstKekId === 'test');
    expect((await world.api(replica, 'POST', '/v1/keys/rewrap')).status).toBe(200);
  });
});
