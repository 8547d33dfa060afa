import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RevivalService } from '../../src/token/revival.service.js';
import { Browser } from '../support/browser.js';
import { casesOf } from '../support/cases.js';
import { Crowd } from '../support/crowd.js';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

const DAY_S = 86_400;

describe('a provider that refuses many at once', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const extra: Record<string, string> = { PROVIDERS_FILE: join(folder, 'providers.yaml') };
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    const fynd = `kind: fynd-platform, api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}', renewal: document,
      scopes: [company/products], rate: 1000/s, concurrency: 40`;
    const port = new URL(world.simulator.url).port;
    writeFileSync(
      join(folder, 'providers.yaml'),
      `providers:
  fynd: { ${fynd}, rotation: none, base_url: 'http://127.0.0.1:${port}' }
  strict: { ${fynd}, rotation: strict, base_url: 'http://localhost:${port}' }
  konnect: { kind: konnect, base_url: '\${KONNECT_BASE_URL}', dead_grant_codes: ['GONE'] }
`,
    );
    broker = await world.local(extra);
    other = await world.local(extra);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await settle();
    await world.sql('truncate connections, provider_states');
    for (const name of ['fynd', 'strict', 'konnect']) await crowd.openWindow(name, 40);
    await world.sql(`update provider_states set renewal_dialect = 'document'`);
  });

  const settle = async (): Promise<void> => {
    for (const each of [broker, other]) await world.settle(each);
  };
  const refuse = (body: Json = { error: 'invalid_grant' }, times?: number): Promise<unknown> =>
    world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      status: 400,
      body,
      ...(times ? { times } : {}),
    });
  const calls = async (): Promise<number> =>
    Number((await world.simulator.ledger('?operation=renew&limit=0')).counters['calls']);
  const count = async (where: string): Promise<number> =>
    (await world.sql(`select 1 from connections where ${where}`)).length;
  const dead = (): Promise<number> => count(`status = 'reauthorization_required'`);
  const act = (name: string, action: string, body?: unknown, at = broker): Promise<Answer> =>
    world.api(at, 'POST', `/v1/providers/${name}/${action}`, body);
  const look = async (name = 'fynd'): Promise<Json> => {
    const { body } = await world.api(other, 'GET', '/v1/providers');
    return (body['items'] as Json[]).find((item) => item['name'] === name) ?? {};
  };
  const massRefused = async (name = 'fynd'): Promise<boolean> =>
    (
      await world.sql('select 1 from provider_states where provider = $1 and mass_refused_at is not null', [
        name,
      ])
    ).length > 0;
  /** The address tells the two providers of one extension apart. */
  const install = (companyId: string): Promise<unknown> => {
    const query = new URLSearchParams({
      company_id: companyId,
      client_id: API_KEY,
      cluster_url: world.simulator.url,
    });
    const hosts = [broker.public, world.simulator.url].map((url) => new URL(url).host);
    return new Browser().follow(`${broker.public}/fp/install?${query.toString()}`, hosts);
  };
  const anHourAgo = (): string => new Date(world.clock.now().getTime() - 3_600_000).toISOString();

  it('is stopped by all replicas together before more than 1 % are dead, says so, and revive brings all back', async () => {
    const all = casesOf({ short: 500, long: 1_000 });
    await crowd.ofFynd(all, { provider: 'fynd', renewInS: 3_000 });
    await refuse();
    const from = world.logs.length;
    await world.sql('update connections set renew_at = broker_now()');
    await eventually(() => massRefused());
    await settle();
    expect(await dead()).toBe(all / 100);
    const alarms = world.logs.slice(from).filter((line) => line.includes('refused too many connections'));
    expect(alarms).toHaveLength(1);
    expect(alarms[0]).toContain('"level":"error"');
    const asked = await calls();
    expect(asked).toBeLessThan(100);

    expect(await look()).toMatchObject({
      status: 'paused',
      paused_because: 'mass_refusals',
      mass_refused_at: expect.any(String),
      last_error: 'mass_refusals',
    });
    const ready = await ask('GET', `${other.api}/health/ready`);
    expect([ready.status, ready.text]).toEqual([200, expect.stringContaining('fynd')]);
    const [living] = await world.sql<Json>(
      `select company_id from connections where status = 'active' limit 1`,
    );
    const path = `/v1/tokens/fynd/companies/${String(living?.['company_id'])}`;
    expect((await world.api(other, 'GET', path)).status).toBe(200);
    const refused = await world.api(other, 'GET', `${path}?min_ttl=3000`);
    expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
    expect(refused.body['detail']).toContain('refused too many connections at once');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await calls()).toBe(asked);

    await world.simulator.control('DELETE', 'faults');
    const revived = await act('fynd', 'revive', { since: anHourAgo() });
    expect([revived.status, revived.body]).toMatchObject([200, { revived: all / 100, paused_because: null }]);
    await eventually(async () => (await count('token_version = 2')) === all);
    expect(await count(`status <> 'active' or died_at is not null`)).toBe(0);
    expect(await look()).toMatchObject({ status: 'ok' });
  });

  it('is stopped after three refusals where it has few connections, whoever is merely suspect included', async () => {
    await refuse({ message: 'no' });
    await crowd.ofFynd(12, { provider: 'fynd' });
    await eventually(() => massRefused());
    await settle();
    expect([await count(`status = 'suspect'`), await dead()]).toEqual([3, 0]);
  });

  it('is not stopped by refusals of probes, which tell where a lost answer went', async () => {
    await crowd.ofFynd(8, { provider: 'strict', renewInS: 3_000 });
    await refuse();
    await world.sql(`update connections set unknown_outcome = 'crash', renew_at = broker_now()`);
    await eventually(async () => (await dead()) === 8);
    expect(await count(`status_reason = 'lost_in_flight'`)).toBe(8);
    expect(await massRefused('strict')).toBe(false);
  });

  describe('once an operator has looked', () => {
    beforeEach(async () => {
      await refuse();
      await crowd.ofFynd(8, { provider: 'fynd' });
      await eventually(() => massRefused());
      await settle();
    });

    it('is asked again after resume, and what was refused before counts no more', async () => {
      await world.simulator.control('DELETE', 'faults');
      await refuse(undefined, 3);
      expect((await act('fynd', 'resume')).body).toMatchObject({ paused_because: null });
      await eventually(async () => (await count('token_version = 2')) === 2);
      await settle();
      expect([await dead(), await massRefused()]).toEqual([6, false]);
    });

    it('is stopped again where it goes on refusing, and no more are dead than are allowed each time', async () => {
      await act('fynd', 'resume');
      await eventually(async () => (await massRefused()) && (await dead()) === 6);
      await settle();
      expect(await dead()).toBe(6);
    });

    it('stays paused by the operator, whatever is revived', async () => {
      await world.simulator.control('DELETE', 'faults');
      const before = await calls();
      await act('fynd', 'pause');
      const { body } = await act('fynd', 'revive', { since: anHourAgo() });
      expect(body).toMatchObject({
        revived: 3,
        status: 'paused',
        paused_because: 'operator',
        mass_refused_at: null,
      });
      await settle();
      expect(await calls()).toBe(before);
      await act('fynd', 'resume');
      await eventually(async () => (await count('token_version = 2')) === 8);
    });

    it('finds what is revived and refused again dead as before, and counts it no second time', async () => {
      // More than may be refused, were they counted.
      await world.sql(
        `update connections set status = 'reauthorization_required', died_at = broker_now(), renew_at = null`,
      );
      const diedAt = await world.sql('select id, died_at from connections order by id');
      for (let round = 1; round <= 2; round += 1) {
        const before = await calls();
        expect((await act('fynd', 'revive', { since: anHourAgo() })).body).toMatchObject({ revived: 8 });
        await eventually(async () => (await calls()) === before + 8);
        await settle();
      }
      expect([await dead(), await massRefused()]).toEqual([8, false]);
      expect(await world.sql('select id, died_at from connections order by id')).toEqual(diedAt);
    });

    it('leaves those dead that died before the time that revive names', async () => {
      const since = new Date(world.clock.now().getTime() + 60_000).toISOString();
      expect((await act('fynd', 'revive', { since })).body).toMatchObject({ revived: 0 });
      expect(await dead()).toBe(3);
    });
  });

  it.each([
    ['no body', undefined, 'since'],
    ['no time', { since: 'yesterday' }, 'since'],
    ['a day alone', { since: '2026-11-21' }, 'since'],
    ['a time without its zone', { since: '2026-11-21T08:00:00' }, 'since'],
    ['a number', { since: 1_795_000_000 }, 'since'],
    ['an unknown field', { since: '2026-11-21T08:00:00Z', until: 'x' }, 'until'],
  ])('revive refuses %s', async (_, body, field) => {
    const { status, body: problem, headers } = await act('fynd', 'revive', body);
    expect([status, problem['code']]).toEqual([400, 'invalid_request']);
    expect(headers.get('content-type')).toContain('application/problem+json');
    expect((problem['errors'] as Json[] | undefined)?.map((error) => error['field']) ?? []).toEqual(
      body === undefined ? expect.anything() : [field],
    );
  });

  it('revive knows no other provider, and nobody without a key', async () => {
    const { status, body } = await act('nobody', 'revive', { since: anHourAgo() });
    expect([status, body['code']]).toEqual([404, 'provider_not_found']);
    const anonymous = await ask('POST', `${broker.api}/v1/providers/fynd/revive`, {}, { since: anHourAgo() });
    expect(anonymous.status).toBe(401);
  });

  it('forgets what a seller gave 30 days after its death, and no credential of a person’s', async () => {
    await world.simulator.fault({
      provider: 'konnect',
      status: 200,
      body: { status: 'FAILURE', code: 'GONE' },
    });
    await refuse();
    // Only then: what is due is renewed by the next look, which may come at any time.
    await crowd.ofFynd(2, { provider: 'fynd' });
    await crowd.ofKonnect(1, { provider: 'konnect', first: 9 });
    await eventually(async () => (await dead()) === 3);
    const forget = (): Promise<void> => broker.broker.app.get(RevivalService).forget();
    const kept = (): Promise<unknown> =>
      world.sql(`select company_id from connections where sealed_grant is not null order by 1`);
    await world.advance(29 * DAY_S);
    await settle();
    await forget();
    expect(await kept()).toEqual([{ company_id: '1' }, { company_id: '2' }, { company_id: '9' }]);
    // A seller who has come back meanwhile, and whose new consent dies, is dead since then only.
    await world.simulator.control('DELETE', 'faults');
    await install('2');
    await act('fynd', 'pause');
    await refuse();
    await world.sql(`update connections set renew_at = broker_now() where company_id = '2'`);
    await act('fynd', 'resume');
    await settle();
    expect(await count(`company_id = '2' and status = 'reauthorization_required'`)).toBe(1);
    await world.advance(2 * DAY_S);
    await settle();
    await forget();
    expect(await kept()).toEqual([{ company_id: '2' }, { company_id: '9' }]);
  });
});
