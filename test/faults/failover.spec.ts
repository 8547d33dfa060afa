import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/http.js';
import { audit } from '../support/faults/audit.js';
import type { Batch } from '../support/faults/batch.js';
import { IN_FLIGHT, IS_FULL } from '../support/faults/modes.js';
import { ReplicatedDatabase } from '../support/faults/replicated-database.js';
import { FaultScene } from '../support/faults/scene.js';

/** A refresh token works once here: what a failover forgets and nobody remembers is lost. */
(IS_FULL ? describe : describe.skip)('a failover to the standby', () => {
  let database: ReplicatedDatabase;
  let scene: FaultScene;

  beforeEach(async () => {
    scene = new FaultScene({ database: async () => (database = await ReplicatedDatabase.make()) });
    await scene.open();
    await scene.rotate('strict');
  });
  afterEach(() => scene.close());

  async function failOver(): Promise<void> {
    scene.wayToDatabase.cut();
    await database.failOver();
    scene.wayToDatabase.leadTo(new URL(database.url));
    scene.wayToDatabase.mend();
  }

  const forgotten = async (batch: Batch): Promise<number> =>
    (await batch.rows()).filter(({ token_version }) => token_version < 2).length;

  it('that has heard of every commit forgets nothing', async () => {
    await database.synchronize();
    const batch = await scene.batch('strict', IN_FLIGHT);
    const held = { perform_first: true, hold_until_released: true };
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', ...held });
    void batch.want(scene.survivor);
    await batch.heldByProvider();
    await scene.mend();
    await eventually(async () => (await forgotten(batch)) < IN_FLIGHT);
    const kept = (await batch.rows()).filter(({ token_version }) => token_version > 1).map(({ id }) => id);
    await failOver();
    const left = (await batch.rows()).filter(({ token_version }) => token_version > 1).map(({ id }) => id);
    expect(left).toEqual(expect.arrayContaining(kept));
    await batch.settle();
    expect(await audit(scene, batch, 'failover, synchronous standby')).toMatchObject({
      lost: 0,
      reused: 0,
      stuck: 0,
      calls: IN_FLIGHT,
    });
  });

  it.each([
    ['good still', 1_800],
    ['expired, and due at once', 1],
  ])(
    'that has not heard of the last commits is told of them again (former tokens %s)',
    async (how, livesS) => {
      const other = await scene.replica();
      const batch = await scene.batch('strict', IN_FLIGHT, { livesS });
      database.stopStreaming();
      await Promise.all([batch.want(scene.survivor), batch.want(other)]);
      await batch.renewed();
      scene.wayToDatabase.cut();
      await database.failOver();
      const lost = await forgotten(batch);
      scene.wayToDatabase.leadTo(new URL(database.url));
      scene.wayToDatabase.mend();
      await batch.settle();
      const found = await audit(scene, batch, `failover, ${lost} commits forgotten, former tokens ${how}`);
      expect(found).toMatchObject({ lost: 0, reused: 0, stuck: 0, calls: IN_FLIGHT });
    },
  );
});
