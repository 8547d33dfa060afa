import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { audit } from '../support/faults/audit.js';
import { CALL_TIMEOUT, IN_FLIGHT, IS_FULL } from '../support/faults/modes.js';
import { RowLocks } from '../support/faults/row-locks.js';
import { useFaultScene } from '../support/faults/scene.js';

/** The clock of its leases is moved; its own has not come to where it would give up waiting. */
describe('a replica that stands still while its leases run out', () => {
  const scene = useFaultScene({ timeout: CALL_TIMEOUT });
  let stopped: Replica;

  beforeEach(async () => {
    stopped = await scene.replica();
  });
  afterEach(async () => {
    await scene.mend();
    await stopped.stop();
  });

  it.each(IS_FULL ? (['none', 'grace'] as const) : (['grace'] as const))(
    'overwrites nothing newer with the answers that it finds when it wakes (%s)',
    async (mode) => {
      await scene.rotate(mode);
      const batch = await scene.batch(mode, IN_FLIGHT);
      await scene.survivorIsOld();
      const held = { perform_first: true, hold_until_released: true, times: IN_FLIGHT };
      await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', ...held });
      const answered = batch.want(stopped);
      await batch.heldByProvider();
      stopped.signal('SIGSTOP');
      await scene.mend();
      await scene.leasesRunOut();
      await batch.renewed();
      const newer = await scene.world.sql(
        'select id, md5(sealed_token), md5(sealed_grant) from connections order by id',
      );
      stopped.signal('SIGCONT');
      const statuses = await answered;
      await batch.settle();
      expect(
        await scene.world.sql('select id, md5(sealed_token), md5(sealed_grant) from connections order by id'),
      ).toEqual(newer);
      const found = await audit(scene, batch, `SIGSTOP after sending, ${mode}`);
      await batch.end();
      expect(found).toMatchObject({ lost: 0, spentAgain: 0, outOfOrder: 0, stuck: 0, calls: 2 * IN_FLIGHT });
      expect(new Set(statuses)).toEqual(new Set([200]));
    },
  );
});

/** A process that stands still has a clock that goes on: here a lease ends by itself, after 4 s. */
describe('a replica that stands still beyond its leases', () => {
  const scene = useFaultScene({ timeout: '2s' });
  let stopped: Replica;

  beforeEach(async () => {
    stopped = await scene.replica();
  });
  afterEach(async () => {
    await scene.mend();
    await stopped.stop();
  });

  it.each(IS_FULL ? (['none', 'strict', 'unknown'] as const) : (['strict'] as const))(
    'sends nothing when it wakes under leases that it took before (%s)',
    async (mode) => {
      await scene.rotate(mode);
      const batch = await scene.batch(mode, IN_FLIGHT);
      const locks = await RowLocks.take(scene.world, batch.ids);
      const answered = batch.want(stopped);
      await locks.waitedForBy(IN_FLIGHT);
      stopped.signal('SIGSTOP');
      await locks.release();
      // Some may find no room at the provider just then; they would ask again, and cannot.
      await locks.waitedForByNobody();
      const leased = (await batch.rows()).filter(({ lease_owner }) => lease_owner !== null);
      // Whoever lives takes the leases, when they have run out, for those of a process that died.
      await eventually(async () => (await batch.rows()).every(({ lease_owner }) => lease_owner === null));
      const sent = async (): Promise<number> => {
        const companies = new Set(leased.map(({ company_id }) => company_id));
        return (await batch.calls()).filter(({ company_id }) => companies.has(company_id ?? '')).length;
      };
      const before = await sent();
      stopped.signal('SIGCONT');
      await answered;
      const onWaking = (await sent()) - before;
      await batch.settle();
      const found = await audit(scene, batch, `SIGSTOP before sending, ${mode}`);
      await batch.end();
      expect(leased.length).toBeGreaterThan(0);
      expect(onWaking).toBe(0);
      expect(found).toMatchObject({ lost: 0, reused: 0, outOfOrder: 0, stuck: 0, calls: IN_FLIGHT });
    },
  );
});
