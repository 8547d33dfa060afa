import { beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { Crowd } from '../support/crowd.js';
import { eventually } from '../support/http.js';
import { API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

/** Probes of a provider that refuses our registration are this far apart. */
const INTERVAL_S = 30;

describe('a wrong client secret with 1,000 connections', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const secretFile = join(folder, 'secret');
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    writeFileSync(secretFile, API_SECRET);
    writeFileSync(
      join(folder, 'providers.yaml'),
      `providers:
  fynd:
    kind: fynd-platform
    base_url: \${FYND_BASE_URL}
    api_key: \${FYND_API_KEY}
    api_secret: \${FYND_API_SECRET}
    scopes: [company/products]
    rate: 1000/s
`,
    );
    const settings = {
      FYND_API_SECRET: undefined,
      FYND_API_SECRET_FILE: secretFile,
      PROVIDERS_FILE: join(folder, 'providers.yaml'),
    };
    [broker, other] = [await world.local(settings), await world.local(settings)];
  });

  const calls = async (): Promise<number> =>
    Number((await world.simulator.ledger('?operation=renew&limit=0')).counters['calls']);
  const count = async (where: string): Promise<number> =>
    (await world.sql(`select 1 from connections where ${where}`)).length;
  const change = async (secret: string): Promise<void> => {
    writeFileSync(secretFile, secret);
    for (const { broker: each } of [broker, other]) {
      const provider = each.app.get(ProviderRegistry).get('fynd');
      await eventually(() => provider.credentialsInForce().reveal().includes(`"${secret}"`));
    }
  };

  it('costs at most 5 calls a minute, no connection dies of it, and all are well within one interval of the right one', async () => {
    await crowd.ofFynd(1_000, { provider: 'fynd', renewInS: 3_000 });
    await change('test-secret-that-is-wrong');
    await world.sql('update connections set renew_at = broker_now()');
    for (const each of [broker, other]) await world.settle(each);
    const inFirstMinute = await calls();
    expect(inFirstMinute).toBeGreaterThan(0);
    expect(inFirstMinute).toBeLessThan(50);

    for (let minute = 1; minute <= 5; minute += 1) {
      const before = await calls();
      for (let second = 0; second < 60; second += 10) {
        await world.advance(10);
        for (const each of [broker, other]) await world.settle(each);
      }
      const asked = (await calls()) - before;
      expect(asked).toBeGreaterThan(0);
      expect(asked).toBeLessThanOrEqual(5);
    }
    expect(await count(`status <> 'active' or died_at is not null`)).toBe(0);

    await change(API_SECRET);
    const begun = Date.now();
    for (const each of [broker, other]) await world.settle(each);
    await eventually(async () => (await count('token_version = 2')) === 1_000);
    expect((Date.now() - begun) / 1_000).toBeLessThan(INTERVAL_S);
  }, 240_000);
});
