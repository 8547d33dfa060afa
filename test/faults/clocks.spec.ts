import { describe, expect, it } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { audit } from '../support/faults/audit.js';
import type { Batch } from '../support/faults/batch.js';
import { IN_FLIGHT, IS_FULL } from '../support/faults/modes.js';
import { useFaultScene } from '../support/faults/scene.js';

const SHIFTED_CLOCK = fileURLToPath(new URL('../support/faults/shifted-clock.mjs', import.meta.url));
/** By how much the time at which a token is said to expire may be wrong: what a `Date` header cannot tell, and the way. */
const TOLERANCE_S = 7;

(IS_FULL ? describe : describe.skip)('clocks that are wrong', () => {
  const scene = useFaultScene();

  /** Seconds by which the broker takes tokens to live longer or shorter than the provider does, at most. */
  async function mostWrongS(batch: Batch): Promise<number> {
    const wrong: number[] = [];
    for (const company of batch.companies) {
      const { body } = await batch.fetch(scene.survivor, company);
      const truly = Number((await scene.world.simulator.introspect(body['access_token']))['expires_in']);
      wrong.push(Math.abs(Number(body['expires_in']) - truly));
    }
    return Math.max(...wrong);
  }

  it.each([-120, 120])('by %i s at the provider, which tells times of day, do not matter', async (offset) => {
    await scene.rotate('strict');
    const skewed = { clock_offset_s: offset, expiry: 'expires_at_seconds' };
    await scene.world.simulator.settings('oauth2', skewed);
    const batch = await scene.batch('strict', IN_FLIGHT);
    await batch.want(scene.survivor);
    await batch.settle();
    const wrongS = await mostWrongS(batch);
    const found = await audit(scene, batch, `provider's clock ${offset > 0 ? '+' : ''}${offset} s`);
    await batch.end();
    await scene.world.simulator.settings('oauth2', { clock_offset_s: 0, expiry: 'expires_in' });
    expect(wrongS).toBeLessThan(TOLERANCE_S);
    expect(found).toMatchObject({ lost: 0, reused: 0, outOfOrder: 0, stuck: 0, calls: IN_FLIGHT });
  });

  it('by 5 minutes at one of two replicas do not matter', async () => {
    await scene.rotate('strict');
    const ahead = await scene.replica({
      NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`,
      SHIFT_CLOCK_S: '300',
      LOG_LEVEL: 'debug',
    });
    const [, told = ''] = /"timestamp":(\d+)/.exec(ahead.output) ?? [];
    expect(Number(told) - Date.now()).toBeGreaterThan(240_000);

    const batch = await scene.batch('strict', IN_FLIGHT);
    // Half an hour of life, as the database sees it: both serve it, and neither takes it for expired.
    expect(new Set(await batch.want(ahead, '?min_ttl=1700'))).toEqual(new Set([200]));
    expect((await batch.calls()).length).toBe(0);
    await Promise.all([batch.want(ahead), batch.want(scene.survivor)]);
    expect(await mostWrongS(batch)).toBeLessThan(TOLERANCE_S);
    // The next renewal is for whoever is first, by the calendar.
    await scene.world.advance(3_500);
    await batch.renewed(3);
    const found = await audit(scene, batch, 'replicas 5 minutes apart');
    expect(found).toMatchObject({ lost: 0, reused: 0, outOfOrder: 0, stuck: 0, mostCalls: 2 });
    expect(found.calls).toBe(2 * IN_FLIGHT);
  });
});
