import { afterEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { timeFetches } from '../support/fetch-times.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { audit } from '../support/faults/audit.js';
import type { Batch } from '../support/faults/batch.js';
import { IN_FLIGHT, IS_FULL, type Mode } from '../support/faults/modes.js';
import { useFaultScene } from '../support/faults/scene.js';

interface Trouble {
  readonly what: string;
  readonly fault: Json;
  /** Where the work was done, only a provider that takes a refresh token twice forgives it. */
  readonly mode: Mode;
}

const TROUBLES: readonly Trouble[] = [
  { what: 'hangs', fault: { hang: true }, mode: 'unknown' },
  { what: 'drips', fault: { drip_ms: 1_500 }, mode: 'grace' },
  { what: 'answers 429 with Retry-After', fault: { status: 429, retry_after: 2 }, mode: 'strict' },
  { what: 'answers 503', fault: { status: 503, content: 'html' }, mode: 'unknown' },
  { what: 'answers 200 with a page', fault: { malformed: 'html' }, mode: 'unknown' },
  { what: 'answers half of it', fault: { malformed: 'truncated' }, mode: 'grace' },
  { what: 'resets connections', fault: { reset: true, rst: true }, mode: 'unknown' },
  { what: 'loses its answers', fault: { lost_reply: true }, mode: 'none' },
];

const TROUBLE_MS = 6_000;
/** A token that is not due while others are. */
const LIVES_ON_S = 36_000;
/** All of them well within the time that a hanging call takes. */
const ROUNDS = 3;

(IS_FULL ? describe : describe.skip)('a provider that', () => {
  const scene = useFaultScene({ timeout: '1s' });

  afterEach(() => scene.mend());

  it.each(TROUBLES)('$what costs no grant, and is not asked without end', async ({ what, fault, mode }) => {
    await scene.rotate(mode);
    const batch = await scene.batch(mode, IN_FLIGHT);
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', ...fault });
    await comeDue(batch);
    await sleep(TROUBLE_MS);
    await scene.mend();
    const meanwhile = (await batch.calls()).length;
    await batch.settle();
    const found = await audit(scene, batch, `provider ${what}, ${mode}`);
    await batch.end();
    expect(found).toMatchObject({ lost: 0, spentAgain: 0, outOfOrder: 0, stuck: 0 });
    // A backoff that doubles from 1 s, with full jitter, fits four to five times into this, and seldom ten times.
    expect(meanwhile).toBeLessThanOrEqual(6 * IN_FLIGHT);
  });

  it('refuses every grant ends no more than a few of them, and those come back', async () => {
    const mode = 'strict';
    await scene.rotate(mode);
    const batch = await scene.batch(mode, IN_FLIGHT);
    const since = new Date(scene.world.clock.now().getTime() - 1_000).toISOString();
    const refusal = { status: 400, body: { error: 'invalid_grant' } };
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', ...refusal });
    await comeDue(batch);
    // Two more looks at the calendar.
    await sleep(2_500);
    const dead = (await batch.rows()).filter(({ status }) => status === 'reauthorization_required').length;
    await scene.mend();
    const revived = await scene.world.api(scene.survivor, 'POST', `/v1/providers/${mode}/revive`, { since });
    await batch.settle();
    const found = await audit(scene, batch, `provider refuses every grant (${dead} died of it)`);
    await batch.end();
    expect(dead).toBeLessThanOrEqual(3);
    expect(revived.status).toBe(200);
    expect(found).toMatchObject({ lost: 0, outOfOrder: 0, stuck: 0 });
  });

  /** Their tokens are due, with 40 s left: what is not known to be spent or not is probed at once. Nobody asks for them. */
  async function comeDue(batch: Batch): Promise<void> {
    const before = (await batch.calls()).length;
    await scene.world.advance(1_760);
    await eventually(async () => (await batch.calls()).length > before);
  }
});

(IS_FULL ? describe : describe.skip)('who fetches other tokens', () => {
  const scene = useFaultScene();

  it('does not feel that a provider hangs', async () => {
    const mode = 'grace';
    await scene.rotate(mode);
    const batch = await scene.batch(mode, IN_FLIGHT);
    const other = await scene.batch(mode, 1, { livesS: LIVES_ON_S });
    const fetchOther = (): Promise<Answer> => other.fetch(scene.survivor, other.companies[0] ?? '');
    await timeFetches(fetchOther);
    const before = await timeFetches(fetchOther, ROUNDS);
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', hang: true });
    const wanted = batch.want(scene.survivor);
    await batch.heldByProvider();
    const beside = await timeFetches(fetchOther, ROUNDS);
    await scene.mend();
    await wanted;
    await batch.settle();
    const times = (beside.p99Ms / before.p99Ms).toFixed(2);
    const found = await audit(scene, batch, `provider hangs: p99 of other fetches times ${times}`);
    for (const each of [batch, other]) await each.end();
    expect(found).toMatchObject({ lost: 0, spentAgain: 0, outOfOrder: 0, stuck: 0 });
    // What is added is for a machine that does something else meanwhile.
    expect(beside.p99Ms).toBeLessThan(2 * before.p99Ms + 10);
  });
});
