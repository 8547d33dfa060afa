import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Cable } from '../support/cable.js';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const TERM_S = 20;

describe('a lease that ran out while the database was away', () => {
  const world = useWorld();
  let cable: Cable;
  let holder: LocalBroker;
  let other: LocalBroker;

  beforeAll(async () => {
    cable = new Cable(new URL(world.databaseUrl));
    const DATABASE_URL = await cable.open();
    holder = await world.local({ DATABASE_URL });
    other = await world.local({ DATABASE_URL });
  });

  afterAll(async () => {
    cable.mend();
    for (const each of [holder, other]) await each.broker.stop();
    cable.close();
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
  });

  async function row(): Promise<Json & { id: string }> {
    const [found] = await world.sql<Json & { id: string }>('select * from connections');
    if (!found) throw new Error('there is no connection');
    return found;
  }

  /** A caller waits for a renewal by the holder, which the provider does not answer yet. */
  async function hold(): Promise<void> {
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await world.install(other, '42');
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      times: 1,
      hold_until_released: true,
    });
    await world.advance(700);
    world.api(holder, 'GET', '/v1/tokens/fynd/companies/42?min_ttl=3000').catch(() => undefined);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
  }

  it('is its holder’s for one more term, so that what came is written before anybody takes it for lost', async () => {
    await hold();
    const claimed = await row();
    cable.cut();
    await world.advance(TERM_S + 1);
    // Both have noticed: a read of each has failed.
    for (const each of [holder, other])
      await eventually(async () => (await world.api(each, 'GET', '/v1/connections')).status === 503);
    cable.mend();
    for (const each of [holder, other])
      await eventually(async () => (await world.api(each, 'GET', '/v1/connections')).status === 200);
    await world.settle(other);
    expect(await row()).toMatchObject({ lease_epoch: claimed['lease_epoch'], crashes: 0 });
    await world.simulator.control('POST', 'release');
    await eventually(async () => (await row())['token_version'] === 2);
    expect(await row()).toMatchObject({ crashes: 0, unknown_outcome: null, lease_owner: null });
  });

  it('is its holder’s for that term also to a replica that was started after the outage', async () => {
    await hold();
    const claimed = await row();
    cable.cut();
    await world.advance(TERM_S + 1);
    for (const each of [holder, other])
      await eventually(async () => (await world.api(each, 'GET', '/v1/connections')).status === 503);
    cable.mend();
    const late = await world.local();
    await world.settle(late);
    expect(await row()).toMatchObject({ lease_epoch: claimed['lease_epoch'], crashes: 0 });
    await world.simulator.control('POST', 'release');
    await eventually(async () => (await row())['token_version'] === 2);
    expect(await row()).toMatchObject({ crashes: 0, unknown_outcome: null, lease_owner: null });
    await late.broker.stop();
  });

  it('is anybody’s after that term, and without an outage there is none', async () => {
    await hold();
    const claimed = await row();
    cable.cut();
    await world.advance(TERM_S + 1);
    for (const each of [holder, other])
      await eventually(async () => (await world.api(each, 'GET', '/v1/connections')).status === 503);
    cable.mend();
    for (const each of [holder, other])
      await eventually(async () => (await world.api(each, 'GET', '/v1/connections')).status === 200);
    await world.advance(TERM_S + 1);
    await eventually(async () => (await row())['lease_epoch'] !== claimed['lease_epoch']);
    expect(await row()).toMatchObject({ crashes: 1 });
    await world.simulator.control('POST', 'release');
    await eventually(async () => (await row())['token_version'] === 2);

    await world.sql('truncate connections, provider_states');
    await hold();
    await world.advance(TERM_S + 1);
    await eventually(async () => (await row())['crashes'] === 1);
    await world.simulator.control('POST', 'release');
    await eventually(async () => (await row())['token_version'] === 2);
  });
});
