import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { Crowd } from '../support/crowd.js';
import { RowLocks } from '../support/faults/row-locks.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const CONCURRENCY = 4;

describe('while answers cannot be written down', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const crowd = new Crowd(world, () => broker);
  const locks: RowLocks[] = [];
  let broker: LocalBroker;

  beforeAll(async () => {
    const file = join(folder, 'providers.yaml');
    writeFileSync(
      file,
      `providers:
  shop: { kind: konnect, base_url: '\${KONNECT_BASE_URL}', concurrency: ${CONCURRENCY} }
`,
    );
    broker = await world.local({ PROVIDERS_FILE: file });
  });

  afterEach(letWrite);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const schedule = (): RenewalSchedule => broker.broker.app.get(RenewalSchedule);
  const counters = async (): Promise<{ calls?: number; held?: number; peak_concurrency?: number }> =>
    (await world.simulator.ledger('?operation=token&limit=0')).counters;
  const kept = async (): Promise<number> =>
    (await world.sql('select 1 from connections where token_version > 1')).length;

  /** All that the calendar asks for now is answered, and no row of it can be written. */
  async function answerUnwritten(inAll: number): Promise<void> {
    await schedule().tick();
    await eventually(async () => (await counters()).calls === inAll);
    const rows = await world.sql<{ id: string }>(
      `select id from connections where lease_owner is not null for update skip locked`,
    );
    locks.push(
      await RowLocks.take(
        world,
        rows.map(({ id }) => id),
      ),
    );
    await world.simulator.control('POST', 'release');
    await eventually(async () => (await counters()).held === 0);
  }

  async function letWrite(): Promise<void> {
    for (const lock of locks.splice(0)) await lock.release();
  }

  it('their places are given to others, until twice as many wait; and a stop writes them all', async () => {
    await world.simulator.fault({ provider: 'konnect', operation: 'token', hold_until_released: true });
    await crowd.openWindow('shop', CONCURRENCY);
    await crowd.ofKonnect(20, { provider: 'shop' });
    // A fifth of the places is kept for callers, so that the calendar has three.
    for (const inAll of [3, 6, 2 * CONCURRENCY]) await answerUnwritten(inAll);
    for (let look = 0; look < 3; look += 1) await schedule().tick();
    expect(await counters()).toMatchObject({ calls: 2 * CONCURRENCY, peak_concurrency: CONCURRENCY - 1 });
    expect(await kept()).toBe(0);

    const stopped = schedule().stop();
    await letWrite();
    await stopped;
    expect(await kept()).toBe(2 * CONCURRENCY);
    expect((await counters()).calls).toBe(2 * CONCURRENCY);
    const { app } = broker.broker;
    expect(app.get(TokenRenewer).countOut(app.get(ProviderRegistry).get('shop'))).toBe(0);
  });
});
