import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Balancer } from '../support/balancer.js';
import { audit } from '../support/faults/audit.js';
import { ReplicatedDatabase } from '../support/faults/replicated-database.js';
import { useFaultScene } from '../support/faults/scene.js';
import { eventually } from '../support/http.js';
import { Load, tally } from '../support/load.js';

const CONNECTIONS = 50;
const CLIENTS = 12;
const SHORT = 3_000;
/** Answers in a row without a failure after which all is well. */
const WELL = 500;

describe('a primary that dies under load, and its synchronous standby that is promoted', () => {
  let database: ReplicatedDatabase;
  const scene = useFaultScene({ database: async () => (database = await ReplicatedDatabase.make()) });
  let balancer: Balancer | undefined;

  beforeAll(async () => {
    await scene.rotate('strict');
    await database.synchronize();
  });
  afterAll(() => balancer?.close());

  it('costs clean 503s for a while, and no grant', async () => {
    const other = await scene.replica();
    const batch = await scene.batch('strict', CONNECTIONS);
    // Some answers come while the database is away.
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', delay_ms: 400 });
    balancer = new Balancer([scene.survivor.api, other.api]);
    let turn = 0;
    const load = new Load(
      balancer,
      () => {
        const company = batch.companies[(turn += 1) % CONNECTIONS];
        return `/v1/tokens/strict/companies/${company}${turn % 3 === 0 ? `?min_ttl=${SHORT}` : ''}`;
      },
      CLIENTS,
    );
    await eventually(async () => {
      const renewed = (await batch.rows()).filter(({ token_version }) => token_version > 1);
      return renewed.length > CONNECTIONS / 5;
    });

    const diedAt = performance.now();
    await database.failOver();
    scene.wayToDatabase.leadTo(new URL(database.url));
    const promotedAt = performance.now();
    await batch.settle();
    await eventually(() =>
      load.outcomes.slice(-WELL).every(({ status, began }) => status === 200 && began > promotedAt),
    );
    await load.stop();

    // Who is content with the token in hand, and who waits for a renewal that was cut short.
    for (const [who, isOne] of [
      ['tokens in hand', (path: string) => !path.includes('min_ttl')],
      ['renewals', (path: string) => path.includes('min_ttl')],
    ] as const) {
      const failed = load.failed.filter(({ path }) => isOne(path));
      const healed = Math.max(diedAt, ...failed.map(({ ended }) => ended));
      const seconds = (since: number): string => ((healed - since) / 1_000).toFixed(1);
      process.stderr.write(
        `  failover, ${who}: ${failed.length} refused (${JSON.stringify(tally(failed))}), healed ${seconds(diedAt)} s after the primary died, ` +
          `${seconds(promotedAt)} s after the standby took writes\n`,
      );
    }
    // Whoever was refused was told so, and when to come again.
    const { '200': served = 0, ...refused } = tally(load.outcomes);
    expect(served).toBeGreaterThan(0);
    expect(Object.keys(refused).filter((it) => !/^503 (store|provider)_unavailable$/.test(it))).toEqual([]);
    expect(load.failed.filter(({ retryAfter }) => !/^[1-9]\d*$/.test(retryAfter ?? ''))).toEqual([]);
    expect(await audit(scene, batch, 'failover under load')).toMatchObject({
      lost: 0,
      reused: 0,
      spentAgain: 0,
      outOfOrder: 0,
      stuck: 0,
    });
  }, 600_000);
});
