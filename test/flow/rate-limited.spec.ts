import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Crowd } from '../support/crowd.js';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('a provider that says it is asked too often', () => {
  const world = useWorld();
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    other = await world.local();
  });

  beforeEach(async () => {
    await settle();
    await world.sql('truncate connections, provider_states');
    // A reset has set the simulator's clock back, and a date says when to come back.
    const aheadS = (world.clock.now().getTime() - Date.now()) / 1_000;
    await world.simulator.control('POST', 'clock', { advance_s: Math.max(0, aheadS) });
  });

  const settle = async (): Promise<void> => {
    for (const each of [broker, other]) await world.settle(each);
  };
  const calls = async (): Promise<number> =>
    Number((await world.simulator.ledger('?operation=token&limit=0')).counters['calls']);
  const fetchToken = (companyId: string, query = '', from = other): ReturnType<typeof world.api> =>
    world.api(from, 'GET', `/v1/tokens/konnect/companies/${companyId}${query}`);
  const leftAloneS = async (): Promise<number> => {
    const [row] = await world.sql<{ s: number }>(
      `select extract(epoch from closed_until - broker_now())::float8 as s from provider_states where provider = 'konnect'`,
    );
    return row?.s ?? 0;
  };
  const limited = (fault: Json = {}): Promise<unknown> =>
    world.simulator.fault({ provider: 'konnect', operation: 'token', times: 1, status: 429, ...fault });

  it('is asked by no replica until Retry-After is over, and then with one call first', async () => {
    await limited({ retry_after: 60 });
    await crowd.openWindow('konnect', 20);
    await crowd.ofKonnect(1, { provider: 'konnect' });
    await eventually(async () => (await leftAloneS()) > 0);
    await crowd.ofKonnect(7, { provider: 'konnect', first: 2 });
    await settle();
    expect(await calls()).toBe(1);
    await world.advance(55);
    await settle();
    expect(await calls()).toBe(1);

    await world.simulator.fault({
      provider: 'konnect',
      operation: 'token',
      times: 1,
      hold_until_released: true,
    });
    await world.advance(6);
    await eventually(async () => (await calls()) === 2);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(await calls()).toBe(2);
    await world.simulator.control('POST', 'release');
    await eventually(async () => (await calls()) === 9);
  });

  it('keeps only those from their token whose own is too short, and tells them when to come back', async () => {
    await limited({ retry_after: 60 });
    await crowd.ofKonnect(3, { provider: 'konnect', renewInS: 3_000 });
    const first = await fetchToken('1', '?min_ttl=3000', broker);
    const second = await fetchToken('2', '?min_ttl=3000');
    for (const { status, body, headers } of [first, second]) {
      expect([status, body['code']]).toEqual([503, 'provider_unavailable']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(50);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60);
    }
    expect(second.body['detail']).toContain('asked too often');
    expect(await fetchToken('3')).toMatchObject({ status: 200, body: { version: 1, stale: false } });
    expect(await calls()).toBe(1);
    const { body } = await world.api(other, 'GET', '/v1/providers');
    const shown = (body['items'] as Json[]).find(({ name }) => name === 'konnect');
    expect(shown).toMatchObject({
      status: 'degraded',
      breaker: 'open',
      left_alone_until: expect.any(String),
    });
  });

  it.each([
    ['a date', () => new Date(world.clock.now().getTime() + 60_000).toUTCString(), 55, 61],
    ['more than 15 minutes', () => 100_000, 895, 900],
    ['nothing', () => undefined, 4, 5],
  ])('is left alone for as long as it says, where that is %s', async (_, retryAfter, atLeast, atMost) => {
    const retry_after = retryAfter();
    await limited(retry_after === undefined ? {} : { retry_after });
    await crowd.ofKonnect(1, { provider: 'konnect' });
    await eventually(async () => (await leftAloneS()) > 0);
    expect(await leftAloneS()).toBeGreaterThan(atLeast);
    expect(await leftAloneS()).toBeLessThanOrEqual(atMost);
  });

  it('is logged once, by however many calls on however many replicas it says so', async () => {
    await crowd.openWindow('konnect', 20);
    await crowd.ofKonnect(10, { provider: 'konnect', renewInS: 3_000 });
    await limited({ times: 10, retry_after: 40, hold_until_released: true });
    const asked = Array.from({ length: 10 }, (_, index) =>
      fetchToken(String(index + 1), '?min_ttl=3000', index % 2 === 0 ? broker : other),
    );
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 10);
    const from = world.logs.length;
    await world.simulator.control('POST', 'release');
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
    expect(world.logs.slice(from).filter((line) => line.includes('too many requests'))).toHaveLength(1);
  });
});
