import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('the calendar', () => {
  const world = useWorld();
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });

  beforeEach(async () => {
    await world.settle(broker);
    await world.sql('truncate connections, provider_states');
  });

  const calls = async (): Promise<Json[]> => (await world.simulator.ledger('?operation=token')).entries;

  it('renews grants for which nobody asks', async () => {
    await crowd.ofKonnect(2, { provider: 'konnect', renewInS: 300 });
    await world.settle(broker);
    expect(await calls()).toEqual([]);
    await world.advance(301);
    await eventually(async () => (await calls()).length === 2);
  });

  it('takes what expires soonest first, and what has expired last', async () => {
    await world.sql('begin');
    for (const [index, expiresInS] of [500, -50, 100, 300, -100].entries())
      await crowd.ofKonnect(1, { provider: 'konnect', first: index + 1, expiresInS });
    // A provider that was never asked is asked for one after the other.
    await world.sql('commit');
    await world.settle(broker);
    await eventually(async () => (await calls()).length === 5);
    const order = (await calls()).map(({ username }) => username);
    expect(order.slice(0, 1)).toEqual(['3']);
    expect(order.indexOf('3')).toBeLessThan(order.indexOf('4'));
    expect(order.indexOf('4')).toBeLessThan(order.indexOf('1'));
    expect(order.slice(3).sort()).toEqual(['2', '5']);
  });

  it('claims nothing of a provider whose pause lands between its look and its claim', async () => {
    await crowd.openWindow('konnect', 20);
    await crowd.ofKonnect(5, { provider: 'konnect', renewInS: 3_000 });
    // Not paused, as far as anybody else can see, when the look begins; paused when it gets to claim.
    await world.sql('begin');
    await world.sql(`update provider_states set paused_at = broker_now() where provider = 'konnect'`);
    const client = new Client({ connectionString: world.databaseUrl });
    await client.connect();
    await client.query('update connections set renew_at = broker_now()');
    const look = broker.broker.app.get(RenewalSchedule).tick();
    await eventually(async () => {
      const { rowCount } = await client.query(
        `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return (rowCount ?? 0) > 0;
    });
    await world.sql('commit');
    await look;
    await client.end();
    await world.settle(broker);
    expect(await calls()).toEqual([]);
    const [count] = await world.sql<Json>('select count(*)::int as n from connections where attempts > 0');
    expect(count).toEqual({ n: 0 });
  });

  it('skips what belongs to a provider that is not configured', async () => {
    await crowd.ofKonnect(3, { provider: 'gone' });
    await crowd.ofKonnect(1, { provider: 'konnect', first: 9 });
    await eventually(async () => (await calls()).length === 1);
    await world.settle(broker);
    const left = await world.sql(
      `select distinct attempts, lease_owner from connections where provider = 'gone'`,
    );
    expect(left).toEqual([{ attempts: 0, lease_owner: null }]);
    expect((await world.api(broker, 'GET', '/v1/tokens/gone/companies/1')).body).toMatchObject({
      code: 'provider_not_found',
    });
  });
});
