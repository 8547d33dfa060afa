import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Cable } from '../support/cable.js';
import { ask, eventually, type Answer } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

describe('while the database is away', () => {
  const world = useWorld();
  let cable: Cable;
  let broker: LocalBroker;
  let key: string;
  let company = 100;

  const read = (whose = company, as = key, query = ''): Promise<Answer> =>
    world.api(broker, 'GET', `/v1/tokens/konnect/companies/${whose}${query}`, undefined, as);
  const healed = (): Promise<unknown> =>
    eventually(async () => {
      const { status, body } = await read();
      return status === 200 && body['stale'] === false;
    });

  async function begin(settings: Record<string, string> = {}): Promise<void> {
    cable = new Cable(new URL(world.databaseUrl));
    broker = await world.local({ DATABASE_URL: await cable.open(), ...settings });
    await broker.broker.app.get(RenewalSchedule).stop();
    company += 2;
    for (const whose of [company, company + 1]) await world.keepKonnect(broker, String(whose));
    ({ key } = await world.client(broker, 'token:read konnect/**'));
    await world.heard(broker);
    expect((await read()).body['stale']).toBe(false);
  }

  beforeEach(() => begin());
  afterEach(async () => {
    cable.mend();
    await broker.broker.stop();
    cable.close();
  });

  it('a token that was read before is served on, and says so; all else is told to come back', async () => {
    const before = await read();
    cable.cut();
    // Until the loss is noticed, nothing can have changed either.
    await eventually(async () => (await read()).body['stale'] === true);
    const { status, body } = await read();
    expect([status, body]).toEqual([
      200,
      {
        ...before.body,
        stale: true,
        warning: expect.stringMatching(/^The database is away/),
        expires_in: body['expires_in'],
      },
    ]);
    for (const refused of [
      await read(company + 1),
      await read(company, ADMIN_KEY, '?scope=none'),
      await read(1),
    ])
      expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
        503,
        'store_unavailable',
        '5',
      ]);
    // Nobody can say whose key this is.
    expect((await read(company, `tbk_0123456789abcdef_${'x'.repeat(43)}`)).status).toBe(503);
    cable.mend();
    await healed();
    expect((await read(company + 1)).status).toBe(200);
  });

  it('it is served no longer than its caller can use it', async () => {
    cable.cut();
    await eventually(async () => (await read()).body['stale'] === true);
    expect((await read(company, key, '?min_ttl=3000')).status).toBe(200);
    world.clock.advance(200);
    expect((await read()).status).toBe(200);
    expect((await read(company, key, '?min_ttl=3600')).status).toBe(503);
  });

  it('it is served for five minutes, counted from when the loss was noticed', async () => {
    world.clock.advance(1_000);
    expect((await read()).body['stale']).toBe(false);
    cable.cut();
    await eventually(async () => (await read()).body['stale'] === true);
    world.clock.advance(290);
    expect((await read()).status).toBe(200);
    world.clock.advance(20);
    expect((await read()).status).toBe(503);
    cable.mend();
    await healed();
  });

  it('a balancer still finds who serves it, and nobody else', async () => {
    const health = (query = ''): Promise<Answer> => ask('GET', `${broker.api}/health/ready${query}`);
    const FROM_MEMORY = '?from_memory=true';
    expect((await health(FROM_MEMORY)).body['status']).toBe('ok');
    cable.cut();
    await eventually(async () => (await health()).status === 503);
    const { status, body } = await health(FROM_MEMORY);
    expect([status, body['status'], body['details']]).toEqual([
      200,
      'degraded',
      {
        process: { status: 'up' },
        keys: { status: 'up' },
        database: { status: 'degraded', reason: 'unreachable' },
      },
    ]);
    expect((await health('?from_memory=false')).status).toBe(503);
    world.clock.advance(290);
    expect((await health(FROM_MEMORY)).status).toBe(200);
    world.clock.advance(20);
    expect((await health(FROM_MEMORY)).status).toBe(503);
    cable.mend();
    await eventually(async () => (await health(FROM_MEMORY)).body['status'] === 'ok');
    // Whoever asks hears of it in time also where the network swallows everything.
    cable.stall();
    cable.swallow();
    expect((await health(FROM_MEMORY)).body['status']).toBe('degraded');
    cable.mend();
    await healed();
  });

  it('a balancer that asks where all is well costs no more than anybody else', async () => {
    const { master } = broker.broker.app.get(DataSource).driver as unknown as { master: Pool };
    /** The fewest of some: whatever else is looked at meanwhile only adds to them. */
    async function statements(query: string): Promise<number> {
      const counts: number[] = [];
      for (let time = 0; time < 8; time += 1) {
        let count = 0;
        const one = (): void => void (count += 1);
        master.on('acquire', one);
        expect((await ask('GET', `${broker.api}/health/ready${query}`)).body['status']).toBe('ok');
        master.off('acquire', one);
        counts.push(count);
      }
      return Math.min(...counts);
    }
    expect(await statements('?from_memory=true')).toBe(await statements(''));
  });

  it('who is served does not wait for a network that swallows everything', async () => {
    cable.stall();
    cable.swallow();
    await eventually(async () => {
      const since = performance.now();
      const { status, body } = await read();
      expect([status, performance.now() - since < 2_000]).toEqual([200, true]);
      return body['stale'] === true;
    });
    cable.mend();
    await healed();
  });

  it('what was revoked before is not served', async () => {
    const { body } = await world.api(broker, 'GET', `/v1/connections?company_id=${company}`);
    const [{ id } = { id: '' }] = body['items'] as { id: string }[];
    await world.api(broker, 'DELETE', `/v1/connections/${id}`);
    cable.cut();
    await eventually(async () => (await read()).status === 503);
    cable.mend();
    await eventually(async () => (await read()).status === 410);
  });

  it('what was revoked meanwhile, by another replica, is refused as soon as the database is back', async () => {
    cable.cut();
    await eventually(async () => (await read()).body['stale'] === true);
    await world.sql(
      `update connections set status = 'revoked', sealed_token = null, sealed_grant = null where company_id = $1`,
      [String(company)],
    );
    expect((await read()).status).toBe(200);
    cable.mend();
    await eventually(async () => (await read()).status === 410);
    expect((await read()).status).toBe(410);
  });

  it('nothing is served where the settings do not allow it', async () => {
    cable.mend();
    await broker.broker.stop();
    cable.close();
    await begin({ SERVE_WITHOUT_DATABASE: '0' });
    cable.cut();
    await eventually(async () => (await read()).status === 503);
    expect((await read()).body['code']).toBe('store_unavailable');
    cable.mend();
    await healed();
  });
});
