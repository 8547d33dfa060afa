import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('a provider that fails again and again', () => {
  const world = useWorld();
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    other = await world.local();
  });

  const settle = async (): Promise<void> => {
    for (const each of [broker, other]) await world.settle(each);
  };

  beforeEach(async () => {
    await settle();
    await world.sql('truncate connections, provider_states');
    // What is looked at here is one failure after the other: as many at once as are asked for.
    await crowd.openWindow('konnect', 20);
  });

  const fail = (fault: Json = {}): Promise<unknown> =>
    world.simulator.fault({ provider: 'konnect', operation: 'token', status: 500, ...fault });
  const calls = async (query = ''): Promise<Json[]> =>
    (await world.simulator.ledger(`?operation=token${query}`)).entries;
  const fetchToken = (companyId: string, query = '?min_ttl=3000', from = broker): Promise<Answer> =>
    world.api(from, 'GET', `/v1/tokens/konnect/companies/${companyId}${query}`);
  const state = async (): Promise<{
    failures: number;
    closed: boolean;
    closedS: number;
    closedUntil: number;
  }> => {
    const [row] = await world.sql<{
      failures: number;
      closed: boolean;
      closedS: number;
      closedUntil: number;
    }>(
      `select failures, coalesce(closed_until > broker_now(), false) as closed,
         extract(epoch from closed_until - broker_now())::float8 as "closedS",
         extract(epoch from closed_until)::float8 as "closedUntil"
       from provider_states where provider = 'konnect'`,
    );
    if (!row) throw new Error('nothing is known of the provider');
    return row;
  };
  /** Nobody looks at them by themselves. */
  const putOff = (): Promise<unknown> =>
    world.sql(`update connections set renew_at = broker_now() + interval '1 hour'`);
  const failFor = async (...companies: string[]): Promise<void> => {
    for (const companyId of companies) {
      await fetchToken(companyId);
      await putOff();
    }
  };

  it('is left alone after five connections in a row, by all replicas; who asks is told when to come back', async () => {
    const from = world.logs.length;
    await fail();
    await crowd.ofKonnect(8, { provider: 'konnect', renewInS: 3_000 });
    await failFor('1', '2', '3', '4');
    expect(await state()).toMatchObject({ failures: 4, closed: false });
    await fetchToken('5');
    // A minute at the most; as long as that here, so that nothing ends while it is looked at.
    await world.sql(`update provider_states set closed_until = broker_now() + interval '40 seconds'`);
    expect(await state()).toMatchObject({ failures: 5, closed: true });
    for (const replica of [broker, other]) {
      const { status, body, headers } = await fetchToken('6', '?min_ttl=3000', replica);
      expect([status, body['code']]).toEqual([503, 'provider_unavailable']);
      expect(body['detail']).toContain('fails again and again');
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(35);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(40);
      expect(await fetchToken('6', '', replica)).toMatchObject({ status: 200, body: { version: 1 } });
    }
    expect(await calls()).toHaveLength(5);
    const { body } = await world.api(other, 'GET', '/v1/providers');
    const shown = (body['items'] as Json[]).find(({ name }) => name === 'konnect');
    expect(shown).toMatchObject({ status: 'degraded', breaker: 'open' });
    expect(world.logs.slice(from).filter((line) => line.includes('left alone'))).toHaveLength(1);
  });

  it('is then tried with one call, of any connection that is due; and as usual once that has worked', async () => {
    const tried = new Set<unknown>();
    await crowd.ofKonnect(8, { provider: 'konnect', renewInS: 3_000 });
    for (let round = 0; round < 6; round += 1) {
      await settle();
      // A longer pause would not be believed, and the one call begin before it is looked for.
      await world.sql(
        `update provider_states set failures = 5, last_failed = null, call_window = 1, closed_because = 'unreachable',
           closed_until = broker_now() + interval '10 minutes'`,
      );
      await world.sql('update connections set renew_at = broker_now()');
      await fail({ times: 1, hold_until_released: true, reset: true, status: undefined });
      const before = (await calls()).length;
      await world.sql('update provider_states set closed_until = broker_now()');
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
      // Both replicas have looked, and so has somebody who waits.
      await Promise.all([broker, other].map((each) => each.broker.app.get(RenewalSchedule).tick()));
      expect(await calls()).toHaveLength(before + 1);
      tried.add((await calls()).at(-1)?.['username']);
      await putOff();
      const [now] = await world.sql<{ epoch: number }>(
        'select extract(epoch from broker_now())::float8 as epoch',
      );
      await world.simulator.control('POST', 'release');
      // A second at the least; that may be over by the time it is seen.
      await eventually(async () => (await state()).closedUntil > (now?.epoch ?? Infinity) + 0.9);
    }
    expect(tried.size).toBeGreaterThan(1);
    await world.sql(`update provider_states set closed_until = broker_now()`);
    await world.sql('update connections set renew_at = broker_now()');
    await eventually(
      async () => (await world.sql('select 1 from connections where token_version = 2')).length === 8,
    );
    expect(await state()).toMatchObject({ failures: 0, closed: false });
  });

  describe('is not taken for one', () => {
    it('where it is one company that always times out, however often', async () => {
      await fail({ username: '1' });
      await crowd.ofKonnect(3, { provider: 'konnect', renewInS: 3_000 });
      for (let round = 0; round < 8; round += 1) {
        await failFor('1');
        await world.sql('update connections set consecutive_failures = 0, attempts = 0');
      }
      expect(await calls('&username=1')).toHaveLength(8);
      expect(await state()).toMatchObject({ failures: 1, closed: false });
      expect(await fetchToken('2')).toMatchObject({ body: { version: 2 } });
    });

    it('where it has given a verdict on a grant in between', async () => {
      await fail();
      await crowd.ofKonnect(9, { provider: 'konnect', renewInS: 3_000 });
      await failFor('1', '2', '3', '4');
      await world.simulator.control('DELETE', 'faults');
      await fail({ status: 200, body: { status: 'FAILURE', message: 'no such user' } });
      await failFor('5');
      expect(await state()).toMatchObject({ failures: 0 });
      await world.simulator.control('DELETE', 'faults');
      await fail();
      await failFor('6', '7', '8', '9');
      expect(await state()).toMatchObject({ failures: 4, closed: false });
    });
  });

  it('is opened again by the others, though one company still fails', async () => {
    await fail({ username: '1' });
    await crowd.ofKonnect(6, { provider: 'konnect' });
    await world.sql(
      `update provider_states set failures = 7, call_window = 1, closed_because = 'unreachable',
         last_failed = (select id from connections where company_id = '2'), closed_until = broker_now() + interval '1 second'`,
    );
    await eventually(async () => {
      // No call is out meanwhile: its lease would be over before it is sent.
      await settle();
      await world.advance(60);
      return (await world.sql('select 1 from connections where token_version > 1')).length === 5;
    });
    const [poisoned] = await world.sql<Json>(`select * from connections where company_id = '1'`);
    expect(poisoned).toMatchObject({ token_version: 1, status: 'active' });
    expect((await state()).failures).toBeLessThan(5);
  });

  describe('while calls are still out that began before', () => {
    it('is not left alone for longer when they fail, too', async () => {
      await fail({ hold_until_released: true });
      await crowd.ofKonnect(15, { provider: 'konnect', renewInS: 3_000 });
      const asked = Array.from({ length: 15 }, (_, index) => fetchToken(String(index + 1)));
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 15);
      await world.simulator.control('POST', 'release');
      await Promise.all(asked);
      const { failures, closedS } = await state();
      expect(failures).toBe(5);
      expect(closedS).toBeLessThanOrEqual(1);
    });

    it('is not left alone again when they fail after its time is over', async () => {
      await fail({ hold_until_released: true });
      await crowd.ofKonnect(9, { provider: 'konnect', renewInS: 3_000 });
      const late = ['8', '9'].map((companyId) => fetchToken(companyId));
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 2);
      await fail({ username: '1' });
      await world.sql(
        `update provider_states set failures = 5, call_window = 1, closed_because = 'unreachable',
           last_failed = (select id from connections where company_id = '1'), closed_until = broker_now()`,
      );
      await world.simulator.control('POST', 'release');
      await Promise.all(late);
      expect(await state()).toMatchObject({ failures: 5, closed: false });
    });
  });
});
