import { describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { within } from '../../src/shared/within.js';
import { RenewalClaims } from '../../src/token/renewal-claims.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { Client } from 'pg';
import { eventually } from '../support/http.js';
import { useWorld } from '../support/world.js';

describe('an orderly stop', () => {
  const world = useWorld();

  const calls = async (counter: string): Promise<number> =>
    Number((await world.simulator.ledger('?limit=0')).counters[counter]);

  // Longer than the requests that are open have by themselves.
  it('waits for a consent that is being redeemed, and keeps its grant', async () => {
    const broker = await world.local();
    await world.simulator.fault({ provider: 'fynd', operation: 'exchange', delay_ms: 6_000, times: 1 });
    const landed = world.install(broker, '42');
    await eventually(async () => (await calls('in_flight')) === 1);
    await broker.broker.stop();
    expect((await landed).status).toBe(302);
    expect(await world.sql('select token_version from connections')).toEqual([{ token_version: 1 }]);
  });

  it('waits for a credential that is being proven, and keeps it', async () => {
    const broker = await world.local();
    await world.simulator.fault({ provider: 'konnect', operation: 'token', delay_ms: 1_500, times: 1 });
    const kept = world.keepKonnect(broker, '43');
    let answeredAt = Infinity;
    void kept.then(() => (answeredAt = performance.now()));
    await eventually(async () => (await calls('in_flight')) === 1);
    await broker.broker.stop();
    expect((await kept).status).toBe(201);
    // The connection that the caller keeps open holds nothing up.
    expect(performance.now() - answeredAt).toBeLessThan(3_000);
  });

  it('gives back what was claimed and not begun: who waits for that elsewhere renews it', async () => {
    const [leaving, other] = [await world.local(), await world.local()];
    for (const each of [leaving, other]) world.stopTicking(each);
    await world.sql('truncate connections, provider_states');
    await world.install(leaving, '45');
    await world.advance(3_601);
    const { app } = leaving.broker;
    const { claims } = await app.get(RenewalClaims).due(app.get(ProviderRegistry).get('fynd'), 1);
    const reading = world.api(other, 'GET', '/v1/tokens/fynd/companies/45');
    expect(await within(reading, 1_000)).toBeUndefined();
    await Promise.all(claims.map((claim) => app.get(TokenRenewer).giveBack(claim)));
    const { status, body } = await reading;
    expect([claims.length, status, body['version']]).toEqual([1, 200, 2]);
    for (const each of [leaving, other]) await each.broker.stop();
  });

  it('begins no renewal once it has begun, also where a look at the calendar was under way', async () => {
    const broker = await world.local({ FYND_API_KEY: undefined, FYND_API_SECRET: undefined });
    await world.keepKonnect(broker, '44');
    await world.sql(
      `update connections set renew_at = broker_now() - interval '1 s' where company_id = '44'`,
    );
    const before = await calls('calls');
    const blocker = new Client({ connectionString: world.databaseUrl });
    await blocker.connect();
    await blocker.query('begin; lock table provider_states in access exclusive mode');
    const looking = broker.broker.app.get(RenewalSchedule).tick();
    await eventually(async () => {
      const waiting = await world.sql(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`);
      return waiting.length > 0;
    });
    const stopped = broker.broker.stop();
    await blocker.query('commit');
    await blocker.end();
    await Promise.all([looking, stopped]);
    expect(await calls('calls')).toBe(before);
    const leases = await world.sql('select 1 from connections where lease_owner is not null');
    expect(leases).toEqual([]);
  });
});
