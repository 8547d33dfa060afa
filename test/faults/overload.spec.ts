import { describe, expect, it } from '@jest/globals';
import { audit } from '../support/faults/audit.js';
import { IS_FULL } from '../support/faults/modes.js';
import { useFaultScene } from '../support/faults/scene.js';

const CONNECTIONS = 200;

(IS_FULL ? describe : describe.skip)('two connections to the database', () => {
  const scene = useFaultScene();

  it(`do for ${CONNECTIONS} renewals at once`, async () => {
    await scene.rotate('strict');
    const narrow = await scene.replica({ DATABASE_POOL: '2' });
    const batch = await scene.batch('strict', CONNECTIONS);
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', delay_ms: 200 });
    const statuses = await batch.want(narrow);
    await scene.mend();
    await batch.settle();
    const found = await audit(scene, batch, 'a pool of 2 connections');
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(found).toMatchObject({ lost: 0, reused: 0, outOfOrder: 0, stuck: 0, calls: CONNECTIONS });
  });
});
