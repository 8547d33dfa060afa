import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { audit } from '../support/faults/audit.js';
import type { Batch } from '../support/faults/batch.js';
import { CALL_TIMEOUT, IN_FLIGHT, IS_FULL, isResendSafe, MODES, type Mode } from '../support/faults/modes.js';
import { RowLocks } from '../support/faults/row-locks.js';
import { useFaultScene, type FaultScene } from '../support/faults/scene.js';

/** Brings every renewal of a replica to one point, kills it there with -9, and leaves what a crash would leave. */
type Kill = (scene: FaultScene, batch: Batch, victim: Replica) => Promise<void>;

/** Where the provider has done its work and the answer is gone, a refresh token that works once is gone with it. */
const POINTS: Readonly<Record<string, { readonly kill: Kill; readonly mayLose: boolean }>> = {
  'before the claim': { kill: beforeClaim, mayLose: false },
  'after the claim': { kill: afterClaim, mayLose: false },
  'after the request was sent': { kill: afterSending, mayLose: true },
  'after the answer': { kill: afterAnswer, mayLose: true },
  'after the commit': { kill: afterCommit, mayLose: false },
};

/** The short form takes each point once, in the mode in which most could go wrong. */
const SHORT: Readonly<Record<string, Mode>> = {
  'before the claim': 'none',
  'after the claim': 'strict',
  'after the request was sent': 'grace',
  'after the answer': 'unknown',
  'after the commit': 'strict',
};

async function beforeClaim(scene: FaultScene, batch: Batch, victim: Replica): Promise<void> {
  const locks = await RowLocks.take(scene.world, batch.ids);
  void batch.want(victim);
  await locks.waitedForBy(batch.ids.length);
  await kill(victim);
  await locks.endWaiting();
  await locks.release();
}

async function afterClaim(scene: FaultScene, batch: Batch, victim: Replica): Promise<void> {
  scene.wayToProvider.swallow();
  void batch.want(victim);
  await eventuallySwallowed(scene, batch.ids.length);
  await kill(victim);
  scene.wayToProvider.mend();
}

async function afterSending(scene: FaultScene, batch: Batch, victim: Replica): Promise<void> {
  await hold(scene);
  void batch.want(victim);
  await batch.heldByProvider();
  await kill(victim);
  await scene.mend();
}

async function afterAnswer(scene: FaultScene, batch: Batch, victim: Replica): Promise<void> {
  await hold(scene);
  void batch.want(victim);
  await batch.heldByProvider();
  const locks = await RowLocks.take(scene.world, batch.ids);
  await scene.mend();
  await locks.waitedForBy(batch.ids.length);
  await kill(victim);
  await locks.endWaiting();
  await locks.release();
}

async function afterCommit(_scene: FaultScene, batch: Batch, victim: Replica): Promise<void> {
  void batch.want(victim);
  await batch.renewed();
  await kill(victim);
}

/** The provider does the work, and keeps its answer to itself. */
async function hold({ world }: FaultScene): Promise<void> {
  const held = { perform_first: true, hold_until_released: true };
  await world.simulator.fault({ provider: 'oauth2', operation: 'renew', ...held });
}

async function eventuallySwallowed({ wayToProvider }: FaultScene, count: number): Promise<void> {
  await eventually(() => wayToProvider.swallowed === count);
}

async function kill(victim: Replica): Promise<void> {
  victim.signal('SIGKILL');
  await victim.ended();
}

const CELLS = MODES.flatMap((mode) => Object.keys(POINTS).map((point) => ({ point, mode }))).filter(
  ({ point, mode }) => IS_FULL || SHORT[point] === mode,
);

describe('a replica that is killed', () => {
  const scene = useFaultScene({ timeout: CALL_TIMEOUT });

  afterEach(() => scene.mend());

  it.each(CELLS)('$point, of a provider whose rotation is $mode', async ({ point, mode }) => {
    const { kill: killAt, mayLose } = POINTS[point] ?? { kill: afterCommit, mayLose: false };
    const [victim] = await Promise.all([scene.replica(), scene.rotate(mode)]);
    const batch = await scene.batch(mode, IN_FLIGHT);
    await killAt(scene, batch, victim);
    await scene.leasesRunOut();
    await batch.settle();
    const found = await audit(scene, batch, `kill -9 ${point}, ${mode}`);
    await batch.end();

    // Where the provider has acted, it is asked once more, and never again.
    const asked = mayLose ? 2 : 1;
    expect(found).toMatchObject({ spentAgain: 0, outOfOrder: 0, stuck: 0, calls: asked * IN_FLIGHT });
    expect(found.mostCalls).toBe(asked);
    expect(found.reused).toBe(mayLose && mode !== 'none' ? IN_FLIGHT : 0);
    expect(found.reasons).toEqual(mayLose && !isResendSafe(mode) ? { lost_in_flight: IN_FLIGHT } : {});
  });
});
