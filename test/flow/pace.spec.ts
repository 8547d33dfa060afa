import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Browser } from '../support/browser.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Json } from '../support/http.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const CONCURRENCY = 4;

describe('the pace of a provider', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const extra: Record<string, string> = { PROVIDERS_FILE: join(folder, 'providers.yaml') };
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    writeFileSync(
      join(folder, 'providers.yaml'),
      `providers:
  fynd: { kind: fynd-platform, base_url: '\${FYND_BASE_URL}', api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}',
          scopes: [company/products], renewal: document, rotation: none, rate: 20/s, concurrency: ${CONCURRENCY} }
`,
    );
    broker = await world.local(extra);
    other = await world.local(extra);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await world.simulator.control('DELETE', 'faults');
    await world.settle(broker);
    await world.settle(other);
    await world.sql('truncate connections, provider_states');
    await crowd.openWindow('fynd', 1);
    await world.sql(`update provider_states set renewal_dialect = 'document' where provider = 'fynd'`);
  });

  const state = async (): Promise<Json> => (await world.sql<Json>('select * from provider_states'))[0] ?? {};
  const calls = async (operation: string): Promise<Json[]> =>
    (await world.simulator.ledger(`?operation=${operation}`)).entries;
  const renewed = async (): Promise<number> =>
    (await world.sql('select 1 from connections where token_version > 1')).length;

  /** Somebody comes back from a consent that was begun here, with a code that nobody gave. */
  async function comeBackWithMadeUpCode(at: LocalBroker): Promise<number> {
    const browser = new Browser();
    const begun = await browser.visit(`${at.public}/fp/install?company_id=666&client_id=${API_KEY}`);
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? '';
    const query = new URLSearchParams({ code: 'made-up', state, company_id: '666', client_id: API_KEY });
    return (await browser.visit(`${at.public}/fp/auth?${query.toString()}`)).status;
  }

  describe('is a consent’s, too', () => {
    it('so made-up callbacks, however slowly they are refused, keep neither the calendar nor a caller from their share', async () => {
      await world.sql('update provider_states set call_window = 4');
      let attacking = true;
      const attack = async (at: LocalBroker): Promise<void> => {
        while (attacking) await comeBackWithMadeUpCode(at);
      };
      await crowd.ofFynd(31, { provider: 'fynd', renewInS: 3_000 });
      await world.simulator.fault({ provider: 'fynd', operation: 'exchange', delay_ms: 700 });
      const before = (await calls('exchange')).length;
      const attacks = [broker, other].flatMap((at) => Array.from({ length: 4 }, () => attack(at)));
      await eventually(async () => (await calls('exchange')).length > before + 2);
      await world.sql(`update connections set renew_at = broker_now() where company_id <> '31'`);
      const begunAt = performance.now();
      const served = await world.api(other, 'GET', '/v1/tokens/fynd/companies/31?min_ttl=3000');
      const callerMs = performance.now() - begunAt;
      await eventually(async () => (await renewed()) === 31);
      const drainedMs = performance.now() - begunAt;
      attacking = false;
      await Promise.all(attacks);
      expect(served.body).toMatchObject({ version: 2 });
      expect(callerMs).toBeLessThan(1_500);
      expect(drainedMs).toBeLessThan(6_000);
    });

    it('so made-up callbacks do not put off the probe of a provider that refuses our registration', async () => {
      await world.sql(
        `update provider_states set status = 'misconfigured', probe_at = broker_now() + interval '30 seconds'`,
      );
      const before = await state();
      expect(await comeBackWithMadeUpCode(broker)).toBe(400);
      const { probe_at, credentials_tried } = await state();
      expect({ probe_at, credentials_tried }).toEqual({
        probe_at: before['probe_at'],
        credentials_tried: before['credentials_tried'],
      });
    });
  });

  describe('begins with one call in flight', () => {
    beforeEach(async () => {
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', hold_until_released: true });
    });

    /** How many renewals both replicas have in flight, once they have begun all that they may. */
    async function inFlight(): Promise<number> {
      const held = async (): Promise<number> =>
        Number((await world.simulator.ledger('?limit=0')).counters['held']);
      await eventually(async () => (await held()) > 0);
      for (let looks = 0; looks < 2; looks += 1) {
        await Promise.all([broker, other].map((at) => at.broker.app.get(RenewalSchedule).tick()));
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return held();
    }

    it('and doubles with each that works, up to what its settings allow', async () => {
      await crowd.ofFynd(20, { provider: 'fynd' });
      const seen = [];
      for (let round = 0; round < 4; round += 1) {
        seen.push([await inFlight(), (await state())['call_window']]);
        await world.simulator.control('POST', 'release');
        await eventually(async () => (await world.simulator.ledger()).counters['held'] !== 0);
      }
      await world.simulator.control('DELETE', 'faults');
      await world.simulator.control('POST', 'release');
      // The calendar leaves a fifth of the four to those who wait.
      expect(seen).toEqual([
        [1, 1],
        [1, 2],
        [3, 4],
        [3, 4],
      ]);
    });

    it.each([
      ['an operator’s resume', `paused_at = broker_now()`],
      ['a stop after mass refusals', `mass_refused_at = broker_now()`],
    ])('again after %s', async (_, pause) => {
      await world.sql(`update provider_states set call_window = 4, ${pause}`);
      await crowd.ofFynd(8, { provider: 'fynd' });
      await world.api(broker, 'POST', '/v1/providers/fynd/resume');
      expect(await inFlight()).toBe(1);
      await world.simulator.control('DELETE', 'faults');
      await world.simulator.control('POST', 'release');
    });

    it('again after it refused our registration, of which there is one line', async () => {
      await world.simulator.control('DELETE', 'faults');
      await world.sql('update provider_states set call_window = 4');
      const refusal = { status: 401, body: { error: 'invalid_client' } };
      await world.simulator.fault({
        provider: 'fynd',
        operation: 'renew',
        times: 3,
        delay_ms: 300,
        ...refusal,
      });
      const from = world.logs.length;
      await crowd.ofFynd(8, { provider: 'fynd' });
      // All that is in flight is refused, and says the same.
      await eventually(async () => (await calls('renew')).length >= 3);
      await eventually(async () => (await world.simulator.ledger()).counters['in_flight'] === 0);
      await world.settle(broker);
      expect(await state()).toMatchObject({ status: 'misconfigured' });
      expect(world.logs.slice(from).filter((line) => line.includes('refuses the broker'))).toHaveLength(1);
      const before = await renewed();
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', hold_until_released: true });
      // Not by a leap of the time, in which a look that is under way would lose the probe.
      await world.sql('update provider_states set probe_at = broker_now()');
      expect(await inFlight()).toBe(1);
      expect(await renewed()).toBe(before);
      await world.simulator.control('DELETE', 'faults');
      await world.simulator.control('POST', 'release');
      await eventually(async () => (await renewed()) === 8);
      expect(await state()).toMatchObject({ status: 'ok' });
    });
  });
});
