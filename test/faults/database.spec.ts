import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Replica } from '../support/replica.js';
import { audit } from '../support/faults/audit.js';
import { CALL_TIMEOUT, IN_FLIGHT, IS_FULL } from '../support/faults/modes.js';
import { OwnDatabase } from '../support/faults/own-database.js';
import { useFaultScene } from '../support/faults/scene.js';

/** Everything is done to renewals whose refresh tokens are spent and whose answers are on their way. */
describe('a database', () => {
  let database: OwnDatabase;
  const scene = useFaultScene({
    timeout: CALL_TIMEOUT,
    database: async () => (database = await OwnDatabase.make()),
  });
  let holder: Replica;

  beforeEach(async () => {
    [holder] = await Promise.all([scene.replica(), scene.rotate('strict')]);
  });
  afterEach(async () => {
    await scene.mend();
    scene.wayToDatabase.mend();
    await holder.stop();
  });

  const hold = (): Promise<unknown> =>
    scene.world.simulator.fault({
      provider: 'oauth2',
      operation: 'renew',
      perform_first: true,
      hold_until_released: true,
    });

  const outages: readonly (readonly [string, () => Promise<void>])[] = [
    ['is stopped', () => database.stop()],
    ['is killed', () => database.crash()],
  ];
  const tokens = [
    ['are good', 1_800],
    ['have expired', 1],
  ] as const;
  const cases = outages.flatMap(([what, end]) => tokens.map(([how, livesS]) => ({ what, end, how, livesS })));

  it.each(IS_FULL ? cases : cases.filter(({ what, how }) => what === 'is killed' && how === 'are good'))(
    'that $what, for longer than a lease lasts, costs no grant whose tokens in hand $how',
    async ({ what, end, how, livesS }) => {
      await hold();
      const batch = await scene.batch('strict', IN_FLIGHT, { livesS });
      void batch.want(holder);
      await batch.heldByProvider();
      scene.wayToDatabase.cut();
      await scene.mend();
      await end();
      await database.start();
      await scene.leasesRunOut();
      // Who has nothing to write is the first to look; the holder comes two looks later.
      holder.signal('SIGSTOP');
      scene.wayToDatabase.mend();
      await sleep(2_000);
      holder.signal('SIGCONT');
      await batch.settle();
      const found = await audit(scene, batch, `database ${what}, tokens in hand ${how}`);
      await batch.end();
      expect(found).toMatchObject({ lost: 0, reused: 0, outOfOrder: 0, stuck: 0, calls: IN_FLIGHT });
    },
  );

  it('that ends all connections again and again costs nothing', async () => {
    await hold();
    const batch = await scene.batch('strict', IN_FLIGHT);
    void batch.want(holder);
    await batch.heldByProvider();
    await scene.mend();
    for (let again = 0; again < 10; again += 1) {
      await scene.world.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      );
      await sleep(20);
    }
    await batch.settle();
    const found = await audit(scene, batch, 'database ends connections');
    await batch.end();
    expect(found).toMatchObject({ lost: 0, reused: 0, outOfOrder: 0, stuck: 0, calls: IN_FLIGHT });
  });
});
