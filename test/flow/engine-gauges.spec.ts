import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Cable } from '../support/cable.js';
import { eventually, type Json } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { asAsked, readAlerts, readPanels } from '../support/monitoring.js';
import { readPromql } from '../support/promql.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let cable: Cable;
let broker: LocalBroker;
/** Does nothing by itself, so that a backlog stays. */
let idle: LocalBroker;

beforeAll(async () => {
  cable = new Cable(new URL(world.databaseUrl));
  broker = await world.local();
  idle = await world.local({ DATABASE_URL: await cable.open() });
  await idle.broker.app.get(RenewalSchedule).stop();
});

beforeEach(async () => {
  cable.mend();
  await world.settle(broker);
  await world.sql('truncate connections, provider_states');
  // What was looked up in the test before is looked up anew.
  await world.advance(700);
});

afterAll(async () => {
  cable.mend();
  await idle.broker.stop();
  cable.close();
});

const refusing = (fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });

/** What is due since so many seconds, or not yet where that is negative. */
async function keepDue(provider: string, ...dueForS: number[]): Promise<void> {
  for (const [index, seconds] of dueForS.entries())
    await world.sql(
      `insert into connections (id, provider, company_id, status, sealed_grant, renew_at)
       values (gen_random_uuid(), $1, $2, 'active', 'x', broker_now() - make_interval(secs => $3))`,
      [provider, `due-${index}`, seconds],
    );
}

describe('the backlog', () => {
  // Of a provider that no schedule here looks at: the other broker lacks it.
  let without: LocalBroker;

  beforeAll(async () => {
    await broker.broker.app.get(RenewalSchedule).stop();
    without = idle;
  });

  afterAll(async () => {
    broker = await world.local();
  });

  it('is what is due, and how long the oldest of it has been, to the second', async () => {
    await keepDue('fynd', 5, 100, 4_000, -30, -3_600);
    await keepDue('konnect', -60);
    const first = await Scrape.of(without);
    expect(first.all('backlog')).toMatchObject({ '{provider="fynd"}': 3, '{provider="konnect"}': 0 });
    expect(first.value('oldest_overdue_seconds{provider="konnect"}')).toBe(0);
    const overdue = first.value('oldest_overdue_seconds{provider="fynd"}') ?? 0;
    expect(overdue).toBeGreaterThanOrEqual(4_000);
    expect(overdue).toBeLessThan(4_001.5);
    await world.advance(31);
    const second = await Scrape.of(without);
    expect(second.value('backlog{provider="fynd"}')).toBe(4);
    expect((second.value('oldest_overdue_seconds{provider="fynd"}') ?? 0) - overdue).toBeCloseTo(31, -0.5);
    const { body } = await world.api(without, 'GET', '/v1/providers');
    const listed = (body['items'] as Json[]).map(({ name, backlog }) => [name, backlog]);
    expect(Object.fromEntries(listed)).toMatchObject({ fynd: 4, konnect: 0 });
  });

  it('is without what is paused, revoked, dead, or being renewed', async () => {
    await keepDue('fynd', 10, 10, 10);
    const set = (company: string, changes: string): Promise<unknown> =>
      world.sql(`update connections set ${changes} where company_id = $1`, [company]);
    await set('due-0', `status = 'paused', renew_at = null`);
    await set(
      'due-1',
      `lease_owner = 'a', lease_until = broker_now() + interval '20 s', renew_at = broker_now() + interval '20 s'`,
    );
    expect((await Scrape.of(without)).value('backlog{provider="fynd"}')).toBe(1);
  });

  it('is looked up at most every two seconds, however often it is scraped', async () => {
    await keepDue('fynd', 10);
    expect((await Scrape.of(without)).value('backlog{provider="fynd"}')).toBe(1);
    await keepDue('connect', 10);
    expect((await Scrape.of(without)).value('backlog{provider="connect"}')).toBe(0);
    await world.advance(3);
    expect((await Scrape.of(without)).value('backlog{provider="connect"}')).toBe(1);
  });
});

describe('the connections', () => {
  it('are counted by provider and status, once a minute', async () => {
    for (const companyId of ['1', '2', '3']) await world.install(broker, companyId);
    const [dead] = await world.sql<{ id: string }>(`select id from connections where company_id = '3'`);
    await refusing({ company_id: '3', status: 400, body: { error: 'invalid_grant' } });
    await world.api(broker, 'POST', `/v1/connections/${dead?.id}/renew`);
    const ofFynd = async (): Promise<Record<string, number>> =>
      Object.fromEntries(
        Object.entries((await Scrape.of(broker)).all('connections'))
          .filter(([labels]) => labels.includes('"fynd"'))
          .map(([labels, value]) => [/status="(\w+)"/.exec(labels)?.[1] ?? '', value]),
      );
    const now = { active: 2, suspect: 0, reauthorization_required: 1, paused: 0, revoked: 0 };
    expect(await ofFynd()).toEqual(now);
    await world.install(broker, '4');
    expect(await ofFynd()).toEqual(now);
    await world.advance(61);
    expect(await ofFynd()).toEqual({ ...now, active: 3 });
  });
});

describe('a provider of which nothing is renewed', () => {
  /** What is told of it, looked up anew. */
  async function look(name = 'fynd'): Promise<{ closed: string[]; breaker: string[] }> {
    await world.advance(3);
    const scrape = await Scrape.of(broker);
    const holding = (metric: string, count: number): string[] => {
      const own = Object.entries(scrape.all(metric)).filter(([labels]) => labels.includes(`"${name}"`));
      expect(own).toHaveLength(count);
      return own.filter(([, value]) => value === 1).map(([labels]) => /,\w+="(\w+)"/.exec(labels)?.[1] ?? '');
    };
    return { closed: holding('provider_closed', 5), breaker: holding('provider_breaker', 3) };
  }

  async function installAll(count: number): Promise<void> {
    for (let company = 1; company <= count; company += 1) await world.install(broker, String(company));
  }

  async function renewAll(): Promise<void> {
    for (const { id } of await world.sql<{ id: string }>('select id from connections order by company_id'))
      await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
  }

  it('is shown with no reason while all is well', async () => {
    await installAll(1);
    await renewAll();
    expect(await look()).toEqual({ closed: [], breaker: ['closed'] });
  });

  it('because an operator has paused it', async () => {
    await world.api(broker, 'POST', '/v1/providers/fynd/pause');
    expect([(await look()).closed, (await look('konnect')).closed]).toEqual([['paused'], []]);
    await world.api(broker, 'POST', '/v1/providers/fynd/resume');
    expect((await look()).closed).toEqual([]);
  });

  it('because it refuses our registration', async () => {
    await installAll(1);
    await refusing({ status: 404 });
    await renewAll();
    expect((await look()).closed).toEqual(['misconfigured']);
  });

  it('because it is asked too often, until that is over', async () => {
    await installAll(1);
    await refusing({ status: 429, retry_after: 60 });
    await renewAll();
    expect(await look()).toEqual({ closed: ['rate_limited'], breaker: ['open'] });
    expect((await Scrape.of(broker)).value('provider_call_window{provider="fynd"}')).toBe(1);
    await world.simulator.control('DELETE', 'faults');
    await world.advance(61);
    expect((await look()).closed).toEqual([]);
  });

  it('because it does not answer', async () => {
    await installAll(6);
    await refusing({ status: 503 });
    // At first it is left alone for less time than it takes to look; each failure after that doubles it.
    const seen = await eventually(async () => {
      await renewAll();
      const now = await look();
      return now.closed.length > 0 && now;
    });
    expect(seen).toEqual({ closed: ['unreachable'], breaker: ['open'] });
  });

  it('because it refused too many at once', async () => {
    await installAll(6);
    await refusing({ status: 400, body: { error: 'invalid_grant' } });
    await renewAll();
    expect((await look()).closed).toEqual(['mass_refusals']);
  });
});

/** Each has few values, whatever anybody sends. */
const LABELS = [
  ...[
    'provider',
    'outcome',
    'status',
    'because',
    'state',
    'le',
    'limit',
    'method',
    'route',
    'caller',
    'result',
  ],
  ...['step', 'pool'],
];

describe('the metrics', () => {
  it('are told while the database is away: the last ones at first, and then none that is not known', async () => {
    await Scrape.of(idle);
    cable.cut();
    await world.advance(30);
    const begun = performance.now();
    expect((await Scrape.of(idle)).value('backlog{provider="fynd"}')).toBe(0);
    expect(performance.now() - begun).toBeLessThan(2_500);
    await world.advance(62);
    const away = await Scrape.of(idle);
    expect([away.all('backlog'), away.all('oldest_overdue_seconds'), away.all('provider_closed')]).toEqual([
      {},
      {},
      {},
    ]);
    expect(away.value('crashes_taken_over_total{provider="fynd"}')).toBe(0);
    cable.mend();
    await eventually(async () => {
      await world.advance(3);
      return (await Scrape.of(idle)).value('backlog{provider="fynd"}') === 0;
    });
  });

  it('do not wait for a database that swallows everything', async () => {
    await world.advance(3);
    cable.stall();
    const begun = performance.now();
    await Scrape.of(idle);
    expect(performance.now() - begun).toBeLessThan(2_500);
  });

  it('are all in their document, and nothing else is', async () => {
    const rows = readFileSync('docs/metrics.md', 'utf8').matchAll(
      /^\| `token_broker_(\w+)(?:\{(\w+(?:,\w+)*)\})?` /gm,
    );
    const documented = [...rows].map(([, name = '']) => name);
    expect(documented.sort()).toEqual((await Scrape.of(broker)).names().sort());
  });

  it('are all that the alerts and the dashboard ask for, by their labels', async () => {
    const { text } = await Scrape.of(broker);
    const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)];
    const names = types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
    // Which Prometheus adds, and its operator.
    const labels = [...LABELS, 'kind', 'receiver', 'instance', 'job', 'namespace'];
    const alerts = readAlerts().map(({ expr }) => expr);
    const shown = readPanels().flatMap(({ targets = [] }) => targets.map(({ expr }) => asAsked(expr)));
    for (const expr of [...alerts, ...shown]) {
      const asked = readPromql(expr);
      expect([expr, asked.metrics.filter((name) => !names.includes(name))]).toEqual([expr, []]);
      expect([expr, asked.labels.filter((name) => !labels.includes(name))]).toEqual([expr, []]);
    }
    expect([alerts.length > 9, shown.length > 30]).toEqual([true, true]);
  });

  it('name no company, location or connection', async () => {
    await world.install(broker, '4242424242');
    await world.advance(700);
    const { text } = await Scrape.of(broker);
    const labels = new Set([...text.matchAll(/(\w+)="/g)].map(([, name = '']) => name));
    for (const name of LABELS) labels.delete(name);
    expect(text).not.toContain('4242424242');
    expect(
      [...labels].filter((name) => !/^(version|major|minor|patch|type|kind|space|quantile)$/.test(name)),
    ).toEqual([]);
  });
});
