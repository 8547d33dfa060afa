import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Json } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const RATE = 20;
const CONCURRENCY = 4;

/** What a claim and its call may come apart by on a busy machine: the calls of a second are counted over this much less. */
const ON_THE_WAY_MS = 100;

/** The most calls that began within any second. */
function mostInASecond(calls: readonly Json[]): number {
  const times = calls.map(({ at }) => Date.parse(String(at))).sort((one, other) => one - other);
  return Math.max(
    0,
    ...times.map((begin) => times.filter((at) => at >= begin && at < begin + 1_000 - ON_THE_WAY_MS).length),
  );
}

describe('the rate and the concurrency of a provider, over three replicas', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const extra: Record<string, string> = { PROVIDERS_FILE: join(folder, 'providers.yaml') };
  const crowd = new Crowd(world, () => sealer);
  let sealer: LocalBroker;
  let replicas: Replica[];

  beforeAll(async () => {
    writeFileSync(
      join(folder, 'providers.yaml'),
      `providers:
  shop: { kind: konnect, base_url: '\${KONNECT_BASE_URL}', rate: ${RATE}/s, concurrency: ${CONCURRENCY} }
  narrow: { kind: konnect, base_url: '\${KONNECT_BASE_URL}', concurrency: 1 }
`,
    );
    sealer = await world.local(extra);
    // It seals what the replicas are to find, and renews nothing itself.
    await sealer.broker.app.get(RenewalSchedule).stop();
    replicas = await Promise.all([1, 2, 3].map(() => world.replica(extra)));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
  });

  const calls = async (): Promise<Json[]> => (await world.simulator.ledger('?operation=token')).entries;
  const mostInFlight = async (): Promise<unknown> =>
    (await world.simulator.ledger('?operation=token&limit=0')).counters['peak_concurrency'];
  const fetchToken = (from: number, path: string): ReturnType<typeof world.api> =>
    world.api(replicas[from] ?? sealer, 'GET', `/v1/tokens/${path}?min_ttl=3000`);
  const renewed = async (): Promise<number> => {
    const [count] = await world.sql<{ n: number }>(
      'select count(*)::int as n from connections where token_version > 1',
    );
    return count?.n ?? 0;
  };

  it('hold while a backlog drains, with one call in flight at first; and who waits for a token is let in', async () => {
    // Slow enough that all places would be taken if they could be.
    await world.simulator.fault({
      provider: 'konnect',
      operation: 'token',
      times: 1,
      hold_until_released: true,
    });
    await world.simulator.fault({ provider: 'konnect', operation: 'token', delay_ms: 100 });
    await crowd.ofKonnect(1, { provider: 'shop', first: 1_000, renewInS: 3_000 });
    await crowd.ofKonnect(100, { provider: 'shop' });

    // Three replicas look once a second: time enough for each to have begun what it may.
    await eventually(async () => (await calls()).length > 0);
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    expect(await calls()).toHaveLength(1);
    await world.simulator.control('POST', 'release');

    await eventually(async () => (await renewed()) > 20);
    const askedAt = performance.now();
    const served = await fetchToken(1, 'shop/companies/1000');
    const waitedMs = performance.now() - askedAt;
    const left = 101 - (await renewed());
    expect(served.body).toMatchObject({ version: 2 });
    expect(left).toBeGreaterThan(20);
    expect(waitedMs).toBeLessThan(1_500);

    await eventually(async () => (await renewed()) === 101);
    const all = await calls();
    expect(all).toHaveLength(101);
    expect(mostInASecond(all)).toBeLessThanOrEqual(RATE);
    expect(await mostInFlight()).toBeLessThanOrEqual(CONCURRENCY);
  });

  it('leave a place for those who wait, and no more in all', async () => {
    await world.simulator.fault({ provider: 'konnect', operation: 'token', delay_ms: 300 });
    await crowd.openWindow('shop', CONCURRENCY);
    const waiting = await crowd.ofKonnect(6, { provider: 'shop', first: 1_000, renewInS: 3_000 });
    await crowd.ofKonnect(12, { provider: 'shop' });
    await eventually(async () => (await calls()).length >= 3);
    // The calendar takes no more than three of the four.
    expect(await mostInFlight()).toBe(CONCURRENCY - 1);
    const served = await Promise.all(
      waiting.map((companyId, index) => fetchToken(index % 3, `shop/companies/${companyId}`)),
    );
    expect(served.map(({ body }) => body['version'])).toEqual(waiting.map(() => 2));
    await eventually(async () => (await renewed()) === 18);
    expect(await mostInFlight()).toBe(CONCURRENCY);
  });

  it('count no call that has ended, wherever it was made', async () => {
    const companies = await crowd.ofKonnect(6, { provider: 'narrow', renewInS: 3_000 });
    const askedAt = performance.now();
    for (const [index, companyId] of companies.entries()) {
      const { body } = await fetchToken(index % 3, `narrow/companies/${companyId}`);
      expect(body).toMatchObject({ version: 2 });
    }
    // A replica tells what has ended within a second; what it never tells counts for a lease, 20 s.
    expect(performance.now() - askedAt).toBeLessThan(9_000);
    expect(await mostInFlight()).toBe(1);
  });
});
