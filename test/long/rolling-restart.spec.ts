import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Balancer } from '../support/balancer.js';
import { audit } from '../support/faults/audit.js';
import { useFaultScene } from '../support/faults/scene.js';
import { eventually, freePort } from '../support/http.js';
import { Load, tally } from '../support/load.js';
import type { Replica } from '../support/replica.js';

const CONNECTIONS = 50;
const CLIENTS = 12;
/** What is in hand is too short for these callers once time has leapt, so that every one of them is renewed. */
const LEAP_S = 700;
const SHORT = 3_000;

describe('three replicas that are restarted one after the other under load', () => {
  const scene = useFaultScene();
  const replicas: Replica[] = [];
  let ports: number[];

  const start = (port: number): Promise<Replica> =>
    scene.replica({ PORT: String(port), DATABASE_POOL: '10', SERVE_WHILE_STOPPING: '3' });

  beforeAll(async () => {
    await scene.rotate('strict');
    ports = [await freePort(), await freePort(), await freePort()];
    for (const port of ports) replicas.push(await start(port));
    await scene.survivor.stop();
    scene.survivor = replicas[0] as Replica;
  });
  let balancer: Balancer | undefined;
  afterAll(() => balancer?.close());

  it('fail no request, lose no renewal and send no refresh token twice', async () => {
    const batch = await scene.batch('strict', CONNECTIONS);
    await scene.world.simulator.fault({ provider: 'oauth2', operation: 'renew', delay_ms: 150 });
    balancer = new Balancer(ports.map((port) => `http://127.0.0.1:${port}`));
    let turn = 0;
    const load = new Load(
      balancer,
      () => {
        const company = batch.companies[(turn += 1) % CONNECTIONS];
        return `/v1/tokens/strict/companies/${company}${turn % 3 === 0 ? `?min_ttl=${SHORT}` : ''}`;
      },
      CLIENTS,
    );
    for (let round = 0; round < 2; round += 1) {
      for (const [index, port] of ports.entries()) {
        await scene.world.advance(LEAP_S);
        const leaving = replicas[index];
        leaving?.signal('SIGTERM');
        expect((await leaving?.ended())?.code).toBe(0);
        replicas[index] = await start(port);
        await eventually(() => balancer?.countReady() === ports.length);
      }
    }
    await load.stop();
    scene.survivor = replicas[0] as Replica;

    expect(tally(load.outcomes)).toEqual({ 200: load.outcomes.length });
    await eventually(async () => (await batch.rows()).every(({ lease_owner }) => lease_owner === null));
    const versions = (await batch.rows()).reduce((sum, { token_version }) => sum + token_version - 1, 0);
    const calls = await batch.calls();
    expect(calls.length).toBeGreaterThanOrEqual(2 * CONNECTIONS);
    // Each call brought a token, and each token was kept.
    expect(calls.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    expect(versions).toBe(calls.length);
    process.stderr.write(
      `  rolling restart: ${load.outcomes.length} requests, ${calls.length} renewals, 6 restarts\n`,
    );
    expect(await audit(scene, batch, 'rolling restart')).toMatchObject({
      lost: 0,
      reused: 0,
      spentAgain: 0,
      outOfOrder: 0,
      stuck: 0,
    });
  }, 600_000);
});
