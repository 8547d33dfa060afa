import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database } from '../../src/database/database.js';
import { Cable } from '../support/cable.js';
import { ask, eventually } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

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

  it('whoever signs out of the console is out of the browser, and told that a copy of the session could not be ended', async () => {
    const signIn = (): ReturnType<typeof ask> =>
      ask('POST', session, { authorization: `Bearer ${ADMIN_KEY}`, origin: broker.api });
    const session = `${broker.api}/console/session`;
    const cookies = [await signIn(), await signIn()].map(
      ({ headers }) => headers.getSetCookie()[0]?.split(';')[0] ?? 'none',
    );
    // One that this replica has seen, and one that it has not.
    expect((await ask('GET', `${broker.api}/v1/connections`, { cookie: cookies[0] ?? '' })).status).toBe(200);
    cable.cut();
    for (const cookie of cookies) {
      const answer = await ask('DELETE', session, { cookie, origin: broker.api });
      expect([answer.status, answer.body['code']]).toEqual([503, 'store_unavailable']);
      expect(answer.body['detail']).toMatch(
        /^This browser is signed out, but a copy .* is good until \d{4}-/,
      );
      expect(answer.headers.getSetCookie()).toContain(
        'tb_console=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict',
      );
    }
    cable.mend();
    await eventually(async () => (await read()).status === 200);
  });

  it('a transaction whose connection breaks ends alone', async () => {
    const database = broker.broker.app.get(Database);
    await world.sql('select pg_advisory_lock(1)');
    const transaction = database.transaction((run) => run({ text: 'select pg_advisory_xact_lock(1)' }));
    const ended = transaction.then(
      () => 'committed',
      (error: { code?: string }) => error.code,
    );
    await eventually(async () => {
      const waiting = await world.sql(
        `select 1 from pg_locks l join pg_database d on d.oid = l.database
          where datname = current_database() and locktype = 'advisory' and not granted`,
      );
      return waiting.length > 0;
    });
    cable.cut();
    expect(await ended).toBe('store_unavailable');
    await world.sql('select pg_advisory_unlock(1)');
    cable.mend();
    await eventually(async () => (await world.keepKonnect(broker, '44')).status === 201);
  });
});
