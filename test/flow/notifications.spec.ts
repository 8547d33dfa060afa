import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClientDirectory } from '../../src/clients/client-directory.js';
import { hashOf, keyIdOf } from '../../src/clients/service-key.js';
import { Database } from '../../src/database/database.js';
import { Notifications } from '../../src/database/notifications.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Cable } from '../support/cable.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('two replicas that want the same token', () => {
  const world = useWorld();
  let first: LocalBroker;
  let second: LocalBroker;

  beforeAll(async () => {
    [first, second] = [await world.local(), await world.local()];
    for (const { broker } of [first, second]) await broker.app.get(RenewalSchedule).stop();
    await world.keepKonnect(first, '42');
  });

  const report = (broker: LocalBroker, version: number): ReturnType<typeof world.api> =>
    world.api(broker, 'POST', '/v1/tokens/konnect/companies/42/report', { version, status: 401 });

  /** Milliseconds by which the replica that only waits is answered later than the one that asks the provider. */
  async function lag(version: number): Promise<number> {
    await world.simulator.fault({
      provider: 'konnect',
      operation: 'token',
      hold_until_released: true,
      times: 1,
    });
    const [asking, waiting] = [
      report(first, version),
      eventually(async () => {
        const [row] = await world.sql<{ lease_owner: string | null }>('select lease_owner from connections');
        return row?.lease_owner;
      }).then(() => report(second, version)),
    ].map(async (answer) => {
      const { body } = await answer;
      return { version: body['version'], at: performance.now() };
    });
    // Where the channel was lost, nobody asks before it is known what the database remembers.
    await eventually(async () => (await world.simulator.ledger('?limit=0')).counters['held'] === 1);
    // The waiter has looked, and its next look is half a second away.
    await new Promise((resolve) => setTimeout(resolve, 150));
    await world.simulator.control('POST', 'release');
    const [one, other] = [await asking, await waiting];
    expect([one?.version, other?.version]).toEqual([version + 1, version + 1]);
    return (other?.at ?? Infinity) - (one?.at ?? 0);
  }

  it('are told of it by a notification, not by looking again', async () => {
    expect(await lag(1)).toBeLessThan(150);
  });

  it('find out by themselves while the channel is down', async () => {
    await world.advance(60);
    await world.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'token-broker listen'`,
    );
    expect(await lag(2)).toBeLessThan(1_500);
  });
});

describe('a replica whose channel falls silent', () => {
  const world = useWorld();

  let cable: Cable | undefined;

  // Once the broker has let go of it.
  afterAll(() => cable?.close());

  it('believes nothing that it remembers of clients, until it hears again', async () => {
    cable = new Cable(new URL(world.databaseUrl));
    const broker = await world.local({ DATABASE_URL: await cable.open() });
    const { key } = await world.client(broker, 'token:read konnect/companies/42');
    const directory = broker.broker.app.get(ClientDirectory);
    const isKnown = (): boolean => directory.knownKey(keyIdOf(key) ?? '', hashOf(key)) !== undefined;
    expect((await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, key)).status).toBe(
      404,
    );
    expect(isKnown()).toBe(true);
    cable.stall();
    const since = performance.now();
    await eventually(() => !isKnown());
    // Two and a half seconds of silence, and a beat.
    expect(performance.now() - since).toBeLessThan(4_000);
    cable.mend();
    await eventually(async () => {
      const { status } = await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, key);
      return status === 404 && isKnown();
    });
  });

  it('notices a channel that answers, and on which nobody is heard any more', async () => {
    const way = new Cable(new URL(world.databaseUrl));
    const broker = await world.local({ DATABASE_DIRECT_URL: await way.open() });
    const notifications = broker.broker.app.get(Notifications);
    try {
      expect(notifications.isLive()).toBe(true);
      way.deafen();
      await eventually(() => !notifications.isLive());
    } finally {
      await broker.broker.stop();
      way.close();
    }
  });

  it('does not take a pool that is full for silence', async () => {
    const broker = await world.local({ DATABASE_POOL: '2' });
    const notifications = broker.broker.app.get(Notifications);
    const database = broker.broker.app.get(Database);
    let losses = 0;
    notifications.onLost(() => (losses += 1));
    await world.sql('select pg_advisory_lock(2)');
    const held = [1, 2].map(() =>
      database.transaction((run) => run({ text: 'select pg_advisory_xact_lock_shared(2)' })),
    );
    // Whoever wants a connection waits for three seconds, longer than any silence may last.
    await expect(database.run({ text: 'select 1' })).rejects.toMatchObject({ code: 'store_unavailable' });
    expect([losses, notifications.isLive()]).toEqual([0, true]);
    await world.sql('select pg_advisory_unlock(2)');
    await Promise.all(held);
    await broker.broker.stop();
  });
});
