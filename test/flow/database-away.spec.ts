import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cable } from '../support/cable.js';
import { ask, eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('while the database is away', () => {
  const world = useWorld();
  let cable: Cable;
  let broker: LocalBroker;

  const read = (): ReturnType<typeof world.api> =>
    world.api(broker, 'GET', '/v1/tokens/konnect/companies/42');
  const ready = (): ReturnType<typeof ask> => ask('GET', `${broker.api}/health/ready`);

  beforeAll(async () => {
    cable = new Cable(new URL(world.databaseUrl));
    broker = await world.local({ DATABASE_URL: await cable.open() });
    await world.keepKonnect(broker, '42');
  });

  afterAll(async () => {
    cable.mend();
    await broker.broker.stop();
    cable.close();
  });

  it('reads are refused with the time to come back, the replica is alive and not ready, and all heals by itself', async () => {
    cable.cut();
    const refused = await read();
    expect(refused.status).toBe(503);
    expect(refused.body).toMatchObject({ code: 'store_unavailable', retry_after: 5 });
    expect(refused.headers.get('retry-after')).toBe('5');

    const unready = await ready();
    expect(unready.status).toBe(503);
    expect(unready.body).toMatchObject({
      code: 'not_ready',
      checks: { database: 'unreachable', process: 'up' },
    });
    expect((await ask('GET', `${broker.api}/health/live`)).status).toBe(200);

    cable.mend();
    await eventually(async () => (await read()).status === 200);
    expect((await ready()).status).toBe(200);
  });

  it('a network that swallows everything is no reason to wait for ever', async () => {
    cable.stall();
    const refused = await world.api(broker, 'GET', '/v1/tokens/konnect/companies/43');
    expect([refused.status, refused.body['code']]).toEqual([503, 'store_unavailable']);
    cable.mend();
    await eventually(async () => (await read()).status === 200);
  });
});
