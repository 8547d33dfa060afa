import { describe, expect, it } from '@jest/globals';
import { useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();
const ask = (): ReturnType<typeof simulator.konnect> => simulator.konnect({ username: 'a', password: 'p' });
const statuses = async (calls: number): Promise<number[]> => {
  const seen: number[] = [];
  for (let call = 0; call < calls; call += 1) seen.push((await ask()).status);
  return seen;
};

describe('a rate limit', () => {
  it('lets a burst pass, turns the rest away, and lets in again what it gets back', async () => {
    // Slow enough that no test run gets a call back without the clock.
    await simulator.settings('konnect', { rate_limit: { per_second: 0.01, burst: 2 } });
    expect(await statuses(3)).toEqual([200, 200, 429]);
    const turnedAway = await ask();
    expect([turnedAway.status, turnedAway.headers.get('retry-after')]).toEqual([429, '100']);
    await simulator.control('POST', 'clock', { advance_s: 150 });
    expect(await statuses(2)).toEqual([200, 429]);
    await simulator.control('POST', 'clock', { advance_s: 100_000 });
    expect(await statuses(3)).toEqual([200, 200, 429]);
    expect((await simulator.ledger()).counters).toMatchObject({ calls: 9, performed: 5, rate_limited: 4 });
  });

  it('is of one provider, leaves what was asked undone, and uses no fault up', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.settings('fynd', { rotation: 'strict', rate_limit: { per_second: 0.01, burst: 1 } });
    const next = String((await simulator.renew('42', refresh)).body['refresh_token']);
    await simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, status: 503 });
    expect((await simulator.renew('42', next)).status).toBe(429);
    expect((await ask()).status).toBe(200);
    expect((await simulator.authorize('42')).status).toBe(302);

    await simulator.settings('fynd', { rate_limit: null });
    expect([(await simulator.renew('42', next)).status, (await simulator.renew('42', next)).status]).toEqual([
      503, 200,
    ]);
  });
});
