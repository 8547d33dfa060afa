import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Answer, type Json } from '../support/http.js';
import { counted, Scrape } from '../support/metrics.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;

beforeAll(async () => {
  broker = await world.local();
});

beforeEach(async () => {
  await world.settle(broker);
  await world.sql('truncate connections, provider_states');
});

const refusing = (fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });
const act = (id: unknown, action: string): Promise<Answer> =>
  world.api(broker, 'POST', `/v1/connections/${String(id)}/${action}`);

async function row(): Promise<Json> {
  const [found] = await world.sql<Json>('select * from connections order by created_at desc limit 1');
  return found ?? {};
}

/** How much each of these has grown by what is done. */
async function growthOf(series: readonly string[], work: () => Promise<unknown>): Promise<number[]> {
  const before = await counted([broker], series);
  await work();
  const after = await counted([broker], series);
  return series.map((_, index) => Math.round((after[index] ?? 0) - (before[index] ?? 0)));
}

const movesTo = (provider: string, ...statuses: string[]): string[] =>
  statuses.map((status) => `connection_transitions_total{provider="${provider}",status="${status}"}`);

describe('the life that a token had left when its successor was kept', () => {
  const seen = ['_count{', '_sum{', '_bucket{le="0",', '_bucket{le="600",'].map(
    (part) => `renewal_life_left_seconds${part}provider="fynd"}`,
  );

  it('is what the former one would have lived on, and below 0 where it had expired', async () => {
    await world.install(broker, '42');
    const early = await growthOf(seen, async () => {
      await world.advance(3_000);
      await world.settle(broker);
    });
    expect(early[1]).toBeGreaterThan(597);
    expect(early).toEqual([1, expect.closeTo(599, -1), 0, 1]);
    const late = await growthOf(seen, async () => {
      await world.advance(3_700);
      await world.settle(broker);
    });
    expect(late).toEqual([1, expect.closeTo(-100, -1), 1, 1]);
  });

  it('is counted for no failure, no consent and no first token', async () => {
    const none = await growthOf(seen, async () => {
      await world.install(broker, '42');
      await world.install(broker, '42');
      await refusing({ status: 503, times: 1 });
      await act((await row())['id'], 'renew');
    });
    expect(none).toEqual([0, 0, 0, 0]);
    const body = { username: 'a', password: 'test-secret-a', verify: false };
    await world.api(broker, 'PUT', '/v1/connections/konnect/companies/42', body);
    await world.settle(broker);
    expect(await row()).toMatchObject({ provider: 'konnect', token_version: 1 });
    expect(await counted([broker], ['renewal_life_left_seconds_count{provider="konnect"}'])).toEqual([0]);
  });
});

describe('transitions', () => {
  const fynd = movesTo('fynd', 'active', 'suspect', 'reauthorization_required', 'paused', 'revoked');

  it('are there with 0 before anything has happened', async () => {
    const other = await world.local();
    const { text } = await Scrape.of(other);
    for (const series of fynd) expect(text).toContain(`token_broker_${series} 0\n`);
    await other.broker.stop();
  });

  it('are told once each: suspect, dead, and well again', async () => {
    expect(await growthOf(fynd, () => world.install(broker, '42'))).toEqual([0, 0, 0, 0, 0]);
    const { id } = await row();
    expect(await growthOf(fynd, () => act(id, 'renew'))).toEqual([0, 0, 0, 0, 0]);
    await refusing({ status: 401, body: {} });
    const doubted = await growthOf(fynd, async () => {
      await act(id, 'renew');
      await world.advance(61);
      await world.settle(broker);
      expect(await row()).toMatchObject({ status: 'suspect', refusals: 2 });
    });
    expect(doubted).toEqual([0, 1, 0, 0, 0]);
    const dead = await growthOf(fynd, async () => {
      for (const wait of [301, 1_801, 3_600]) {
        await world.advance(wait);
        await world.settle(broker);
      }
    });
    expect(dead).toEqual([0, 0, 1, 0, 0]);
    await world.simulator.control('DELETE', 'faults');
    expect(await growthOf(fynd, () => world.install(broker, '42'))).toEqual([1, 0, 0, 0, 0]);
    expect(await growthOf(fynd, () => world.install(broker, '42'))).toEqual([0, 0, 0, 0, 0]);
    await refusing({ status: 401, body: {}, times: 1 });
    const recovered = await growthOf(fynd, async () => {
      await act(id, 'renew');
      await act(id, 'renew');
    });
    expect(recovered).toEqual([1, 1, 0, 0, 0]);
  });

  it('are what people do, too, and doing it again is none', async () => {
    await world.install(broker, '42');
    const { id } = await row();
    const paused = async (): Promise<void> => {
      await act(id, 'pause');
      await act(id, 'pause');
      await act(id, 'resume');
      await act(id, 'resume');
    };
    expect(await growthOf(fynd, paused)).toEqual([1, 0, 0, 1, 0]);
    const revoked = async (): Promise<void> => {
      for (let again = 0; again < 2; again += 1)
        await world.api(broker, 'DELETE', `/v1/connections/${String(id)}`);
    };
    expect(await growthOf(fynd, revoked)).toEqual([0, 0, 0, 0, 1]);
    expect(await growthOf(fynd, () => world.install(broker, '42'))).toEqual([1, 0, 0, 0, 0]);
  });

  it('are none where a connection is made, also one that begins as paused', async () => {
    const series = movesTo('connect', 'active', 'paused');
    const made = await growthOf(series, async () => {
      const grant = { refresh_token: 'test-secret-refresh', paused: true };
      await world.api(broker, 'PUT', '/v1/connections/connect/companies/42', grant);
    });
    expect([(await row())['status'], made]).toEqual(['paused', [0, 0]]);
  });

  it('of a token that nothing renews are its alarm and its end', async () => {
    const expires_at = new Date(world.clock.now().getTime() + 600_000).toISOString();
    const body = { token: 'test-secret-portal', token_type: 'service', expires_at };
    await world.api(broker, 'PUT', '/v1/connections/portal/companies/42', body);
    const report = (): Promise<Answer> =>
      world.api(broker, 'POST', '/v1/tokens/portal/companies/42/report', { version: 1, status: 401 });
    const series = movesTo('portal', 'suspect', 'reauthorization_required');
    expect(await growthOf(series, () => Promise.all(Array.from({ length: 10 }, report)))).toEqual([1, 0]);
    const ended = async (): Promise<void> => {
      await world.advance(601);
      await world.settle(broker);
      await world.settle(broker);
    };
    expect(await growthOf(series, ended)).toEqual([0, 1]);
  });
});

describe('leases', () => {
  const series = ['leases_lost_total', 'crashes_taken_over_total'].map((name) => `${name}{provider="fynd"}`);

  /** A caller wants more than there is, and the provider keeps it waiting. */
  async function holdRenewal(fault: Json = {}): Promise<void> {
    await refusing({ times: 1, hold_until_released: true, ...fault });
    await world.advance(700);
    world.api(broker, 'GET', '/v1/tokens/fynd/companies/42?min_ttl=3000').catch(() => undefined);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
  }

  const release = async (): Promise<void> => {
    await world.simulator.control('POST', 'release');
    await world.settle(broker);
  };

  it('are lost where the fence refuses what came, a token or a failure', async () => {
    for (const fault of [{}, { status: 503 }]) {
      await world.install(broker, '42');
      const lost = await growthOf(series, async () => {
        await holdRenewal(fault);
        await world.install(broker, '42');
        await release();
      });
      expect(lost).toEqual([1, 0]);
      await world.sql('truncate connections, provider_states');
    }
  });

  it('whose holder did not come back are taken over once, and what it kept late was not lost', async () => {
    await world.install(broker, '42');
    const taken = await growthOf(series, async () => {
      await holdRenewal();
      await world.advance(21);
      await eventually(async () => (await row())['unknown_outcome'] === 'crash');
      await release();
    });
    expect(await row()).toMatchObject({ token_version: 2 });
    expect(taken).toEqual([0, 1]);
  });

  it('that are kept in order are neither', async () => {
    await world.install(broker, '42');
    expect(await growthOf(series, async () => act((await row())['id'], 'renew'))).toEqual([0, 0]);
  });
});

it('three processes together tell each transition and each crash once', async () => {
  const replicas = await Promise.all([1, 2, 3].map(() => world.replica()));
  const companies = Array.from({ length: 30 }, (_, index) => String(index + 1));
  while (companies.length > 0)
    await Promise.all(companies.splice(0, 10).map((companyId) => world.install(broker, companyId)));
  for (const companyId of ['1', '2']) {
    await refusing({ company_id: companyId, status: 400, body: { error: 'invalid_grant' } });
  }
  const all = [broker, ...replicas];
  const series = [
    ...movesTo('fynd', 'active', 'reauthorization_required', 'suspect'),
    'renewal_life_left_seconds_count{provider="fynd"}',
    'leases_lost_total{provider="fynd"}',
    'crashes_taken_over_total{provider="fynd"}',
  ];
  const before = await counted(all, series);
  await world.advance(3_000);
  await eventually(async () => {
    const [left] = await world.sql<Json>(
      `select count(*)::int as n from connections where token_version < 2 and status = 'active'`,
    );
    return left?.['n'] === 0;
  });
  await eventually(async () => {
    const [busy] = await world.sql<Json>(
      'select count(*)::int as n from connections where lease_owner is not null',
    );
    return busy?.['n'] === 0;
  });
  await world.settle(broker);
  const after = await counted(all, series);
  expect(after.map((value, index) => value - (before[index] ?? 0))).toEqual([0, 2, 0, 28, 0, 0]);
  const busy = await Promise.all(replicas.map((replica) => counted([replica], [series[3] ?? ''])));
  expect(busy.flat().reduce((sum, value) => sum + value, 0)).toBeGreaterThan(0);
});
