import { describe, expect, it } from '@jest/globals';
import type { Answer } from '../support/http.js';
import { useWorld } from '../support/world.js';

describe('1,000 callers of three replicas', () => {
  const world = useWorld();

  it('who want the same short token at the same time cause one renewal and get 1,000 equal answers', async () => {
    const local = await world.local();
    await world.install(local, '42');
    await local.broker.stop();
    const replicas = await Promise.all([1, 2, 3].map(() => world.replica()));
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', delay_ms: 300 });
    await world.advance(3_601);

    const answers: Answer[] = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        world.api(replicas[index % 3] ?? local, 'GET', '/v1/tokens/fynd/companies/42'),
      ),
    );
    expect(new Set(answers.map(({ status, text }) => (status === 200 ? 200 : text)))).toEqual(new Set([200]));
    const tokens = answers.map(({ body }) => `${String(body['version'])} ${String(body['access_token'])}`);
    expect(new Set(tokens).size).toBe(1);
    expect(answers[0]?.body['version']).toBe(2);
    expect((await world.simulator.ledger()).counters).toMatchObject({ renewals: 1, reused: 0 });
  });
});
