import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { timeFetches, type FetchTimes } from '../support/fetch-times.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { useWorld } from '../support/world.js';

describe('one replica with two connections to its database', () => {
  const world = useWorld();
  let replica: Replica;

  beforeAll(async () => {
    replica = await world.replica({ DATABASE_POOL: '2' });
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
  });

  const fetchToken = (companyId: string): Promise<Answer> =>
    world.api(replica, 'GET', `/v1/tokens/konnect/companies/${companyId}`);

  it('renews 200 tokens at once', async () => {
    const companies = Array.from({ length: 200 }, (_, index) => String(index + 1));
    for (let from = 0; from < 200; from += 50) {
      const some = companies.slice(from, from + 50);
      await Promise.all(some.map((companyId) => world.keepKonnect(replica, companyId)));
    }
    await world.simulator.fault({ provider: 'konnect', delay_ms: 200 });
    await world.advance(3_601);
    const answers = await Promise.all(companies.map((companyId) => fetchToken(companyId)));
    expect(new Set(answers.map(({ status, text }) => (status === 200 ? 200 : text)))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body['version']))).toEqual(new Set([2]));
    const [left] = await world.sql<Json>(
      'select count(*)::int as n from connections where lease_owner is not null',
    );
    expect(left?.['n']).toBe(0);
    const { counters } = await world.simulator.ledger();
    expect(counters['calls']).toBe(400);
    expect(Number(counters['peak_concurrency'])).toBeGreaterThan(5);
    expect(Number(counters['peak_concurrency'])).toBeLessThanOrEqual(20);
  });

  it('serves other tokens as fast as ever while the provider hangs', async () => {
    await Promise.all(['1', 'hung'].map((companyId) => world.keepKonnect(replica, companyId)));

    const measure = (): Promise<FetchTimes> => timeFetches(() => fetchToken('1'));
    await measure();
    const before = await measure();
    await world.simulator.fault({ provider: 'konnect', username: 'hung', hang: true });
    await world.sql(`update connections set expires_at = broker_now() where company_id = 'hung'`);
    const waiting = Promise.all(Array.from({ length: 100 }, () => fetchToken('hung')));
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    const meanwhile = await measure();
    await world.simulator.control('POST', 'release');
    expect(new Set((await waiting).map(({ status }) => status))).toEqual(new Set([200]));
    expect((await world.simulator.ledger('?username=hung')).counters['calls']).toBe(2);
    // What is added to the factor is for a machine that does something else meanwhile.
    expect(meanwhile.medianMs).toBeLessThan(2 * before.medianMs + 2);
    expect(meanwhile.p99Ms).toBeLessThan(2 * before.p99Ms + 10);
  });
});
