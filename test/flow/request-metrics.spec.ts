import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { ask, eventually, type Answer } from '../support/http.js';
import { Scrape } from '../support/metrics.js';
import { ADMIN_KEY, API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
let key: string;

beforeAll(async () => {
  broker = await world.local({ TRUSTED_PROXIES: '10.0.0.1' });
  world.stopTicking(broker);
  for (const path of ['42', '42/locations/7']) await world.keepKonnect(broker, path);
  await world.settle(broker);
  ({ key } = await world.client(
    broker,
    'token:read konnect/companies/42/**',
    'token:read konnect/companies/42',
  ));
});

beforeEach(() => world.advance(700));

/** What has grown of these metrics by what is done, by its labels. */
async function growthOf(metric: string, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = (await Scrape.of(broker)).all(metric);
  await work();
  const after = (await Scrape.of(broker)).all(metric);
  const grown = Object.entries(after).map(([labels, value]): [string, number] => [
    labels,
    value - (before[labels] ?? 0),
  ]);
  // Somebody scraped, to see this.
  return Object.fromEntries(grown.filter(([labels, by]) => by !== 0 && !labels.includes('/metrics')));
}

const COMPANY = '/v1/tokens/:provider/companies/:companyId';
const series = (method: string, route: string, outcome: string, caller: string): string =>
  `{method="${method}",route="${route}",outcome="${outcome}",caller="${caller}"}`;
const fetchToken = (path: string, by = key, headers: Record<string, string> = {}): Promise<Answer> =>
  ask('GET', `${broker.api}/v1/tokens/${path}`, { authorization: `Bearer ${by}`, ...headers });
/** Which keeps a read from the short way. */
const LONG = { 'x-forwarded-for': '10.0.0.9' };

describe('requests', () => {
  it('are counted once each, by route, whichever way they take', async () => {
    await fetchToken('konnect/companies/42');
    const grown = await growthOf('requests_total', async () => {
      for (let times = 0; times < 3; times += 1) await fetchToken('konnect/companies/42');
      await fetchToken('konnect/companies/42/locations/7');
      await fetchToken('konnect/companies/42', key, LONG);
    });
    expect(Object.values(grown).reduce((sum, value) => sum + value, 0)).toBe(5);
    expect(grown[series('GET', COMPANY, 'ok', 'key')]).toBe(4);
    expect(grown[series('GET', `${COMPANY}/locations/:locationId`, 'ok', 'key')]).toBe(1);
  });

  it('are counted by what came of them, and by who sent them', async () => {
    const grown = await growthOf('requests_total', async () => {
      await fetchToken('konnect/companies/42', ADMIN_KEY);
      await fetchToken('konnect/companies/43');
      await fetchToken('konnect/companies/42?min_ttl=3500');
      await fetchToken('konnect/companies/42?unknown=1');
      await fetchToken('konnect/companies/42', 'nobody');
      await ask('GET', `${broker.api}/health/live`);
      await ask('GET', `${broker.api}/made/up/4242`);
      await ask('DELETE', `${broker.api}/v1/made-up/4243`, { authorization: `Bearer ${key}` });
      await ask('GET', `${broker.public}/fp/install?company_id=42`);
    });
    expect(grown).toEqual({
      [series('GET', COMPANY, 'ok', 'admin')]: 1,
      [series('GET', COMPANY, 'forbidden', 'key')]: 1,
      [series('GET', COMPANY, 'ttl_unsatisfiable', 'key')]: 1,
      [series('GET', COMPANY, 'invalid_request', 'key')]: 1,
      [series('GET', COMPANY, 'unauthenticated', 'none')]: 1,
      [series('GET', '/health/live', 'ok', 'none')]: 1,
      [series('any', 'none', 'not_found', 'none')]: 1,
      [series('any', 'none', 'not_found', 'key')]: 1,
      [series('GET', '/fp/install', '400', 'none')]: 1,
    });
  });

  it('with the admin key are counted apart, whichever way they take', async () => {
    const grown = await growthOf('admin_key_uses_total', async () => {
      await fetchToken('konnect/companies/42', ADMIN_KEY);
      await fetchToken('konnect/companies/42', ADMIN_KEY);
      await fetchToken('konnect/companies/42?unknown=1', ADMIN_KEY);
      await world.api(broker, 'GET', '/v1/clients');
      await fetchToken('konnect/companies/42');
    });
    expect(grown).toEqual({ '': 4 });
  });
});

describe('fetches of tokens', () => {
  it('are timed by provider, whatever comes of them; others are not, and no made-up provider is', async () => {
    const grown = await growthOf('fetch_seconds_count', async () => {
      await fetchToken('konnect/companies/42');
      await fetchToken('konnect/companies/42');
      await fetchToken('konnect/companies/42?min_ttl=3500', ADMIN_KEY);
      await fetchToken('made-up/companies/42', ADMIN_KEY);
      await world.api(broker, 'GET', '/v1/connections');
    });
    expect(grown).toEqual({ '{provider="konnect"}': 3 });
    const scrape = await Scrape.of(broker);
    const count = scrape.value('fetch_seconds_count{provider="konnect"}') ?? 0;
    expect(scrape.value('fetch_seconds_bucket{le="+Inf",provider="konnect"}')).toBe(count);
    expect(scrape.value('fetch_seconds_bucket{le="10",provider="konnect"}')).toBe(count);
    expect(scrape.value('fetch_seconds_bucket{le="0.0005",provider="konnect"}')).toBeLessThanOrEqual(count);
    expect(scrape.value('fetch_seconds_sum{provider="konnect"}')).toBeGreaterThan(0);
  });

  it('that wait for a provider are told to be as long as they were', async () => {
    await world.simulator.fault({ provider: 'konnect', operation: 'token', times: 1, delay_ms: 600 });
    await world.advance(3_000);
    const grown = await growthOf('fetch_seconds_sum', () => fetchToken('konnect/companies/42'));
    expect(grown['{provider="konnect"}']).toBeGreaterThan(0.5);
  });

  it('find their token in memory, or have to look for it in the database', async () => {
    await world.keepKonnect(broker, '44');
    await world.settle(broker);
    const first = await growthOf('cache_lookups_total', () => fetchToken('konnect/companies/44', ADMIN_KEY));
    expect(first).toEqual({ '{result="miss"}': 1 });
    const again = await growthOf('cache_lookups_total', () => fetchToken('konnect/companies/44', ADMIN_KEY));
    expect(again).toEqual({ '{result="hit"}': 1 });
  });
});

it('installs are counted as they begin and as they end', async () => {
  const begun = await growthOf('installs_total', () =>
    ask('GET', `${broker.public}/fp/install?company_id=42&client_id=${API_KEY}`),
  );
  expect(begun).toEqual({ '{provider="fynd",step="started"}': 1 });
  const ended = await growthOf('installs_total', () => world.install(broker, '42'));
  expect(ended).toEqual({ '{provider="fynd",step="started"}': 1, '{provider="fynd",step="completed"}': 1 });
  await world.simulator.fault({ provider: 'fynd', operation: 'exchange', times: 1, status: 503 });
  const failed = await growthOf('installs_total', () => world.install(broker, '43'));
  expect(failed).toEqual({ '{provider="fynd",step="started"}': 1, '{provider="fynd",step="failed"}': 1 });
});

it('the next token to expire is told, and how many will whose renewal fails', async () => {
  await world.sql('truncate connections, provider_states');
  await world.install(broker, '42');
  await world.install(broker, '43');
  const look = async (): Promise<(number | undefined)[]> => {
    await world.advance(3);
    const scrape = await Scrape.of(broker);
    return ['soonest_expiry_seconds', 'failing_expiring'].map((it) => scrape.value(`${it}{provider="fynd"}`));
  };
  const [soonest, failing] = await look();
  expect(failing).toBe(0);
  expect(soonest).toBeGreaterThan(3_500);
  expect(soonest).toBeLessThanOrEqual(3_600);
  await world.simulator.fault({ provider: 'fynd', operation: 'renew', company_id: '43', status: 503 });
  await world.advance(2_960);
  await world.settle(broker);
  await world.sql(`update connections set expires_at = expires_at - interval '50 s'`);
  await eventually(async () => {
    await world.settle(broker);
    return (await look())[1] === 1;
  });
});

it('keys and secrets that are older than they should be are counted by kind', async () => {
  const kinds = async (): Promise<Record<string, number>> => {
    await world.advance(700);
    return (await Scrape.of(broker)).all('keys_overdue');
  };
  const before = await kinds();
  expect(before).toEqual({
    '{kind="connection_secret"}': 0,
    '{kind="service_key"}': 0,
    '{kind="data_key"}': 0,
  });
  await world.keepKonnect(broker, '50');
  await world.sql(`update connections set rotate_by = broker_now() where company_id = '50'`);
  await world.client(broker, 'token:read konnect/companies/50');
  await world.sql(
    `update client_keys set created_at = broker_now() - interval '91 days' where id = (select max(id) from client_keys)`,
  );
  await world.sql(`update data_keys set created_at = created_at - interval '366 days'`);
  expect(await kinds()).toEqual({
    '{kind="connection_secret"}': 1,
    '{kind="service_key"}': 1,
    '{kind="data_key"}': 1,
  });
});

it('what waits for a connection to the database is told, and who has them', async () => {
  const { driver } = broker.broker.app.get(DataSource);
  const { master: pool } = driver as unknown as { master: { connect(): Promise<{ release(): void }> } };
  const held = await Promise.all(Array.from({ length: 10 }, () => pool.connect()));
  const waiting = [1, 2, 3].map(() => pool.connect());
  const scrape = await Scrape.of(broker);
  expect(scrape.all('database_waiting')).toEqual({ '{pool="internal"}': 3, '{pool="public"}': 0 });
  expect(scrape.value('database_connections{pool="internal",state="busy"}')).toBe(10);
  for (const client of held) client.release();
  for (const client of await Promise.all(waiting)) client.release();
  await eventually(async () => (await Scrape.of(broker)).value('database_waiting{pool="internal"}') === 0);
});
