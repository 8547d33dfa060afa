import { describe, expect, it } from '@jest/globals';
import { ask, eventually, freePort } from '../support/http.js';
import { Replica } from '../support/replica.js';
import { useWorld } from '../support/world.js';

describe('two processes with the same ports', () => {
  const world = useWorld();

  async function shared(): Promise<Record<string, string>> {
    const [PORT, PUBLIC_PORT] = [String(await freePort()), String(await freePort())];
    return { PORT, PUBLIC_PORT, OPS_PORT: '0', SHARE_PORTS: 'true' };
  }

  const opsOf = ({ output }: Replica): string => `http://${/ops ([\d.:]+)/.exec(output)?.[1]}`;

  /** When the process that answers was started; a new connection each time, as the system shares those out. */
  async function startOf(url: string): Promise<string> {
    const { text } = await ask('GET', `${url}/metrics`, { connection: 'close' });
    return /^process_start_time_seconds (\S+)/m.exec(text)?.[1] ?? '';
  }

  it('both answer, each by itself at its own port for operations, and one that is killed leaves the other', async () => {
    const env = await shared();
    const first = await world.replica(env);
    // Their starts are told apart by the second.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const second = await world.replica(env);
    const starts = [await startOf(opsOf(first)), await startOf(opsOf(second))];
    expect(new Set(starts).size).toBe(2);

    const met = new Set<string>();
    await eventually(async () => met.add(await startOf(first.api)).size === 2);
    expect([...met].sort()).toEqual([...starts].sort());

    first.signal('SIGKILL');
    await first.ended();
    for (let again = 0; again < 40; again += 1) expect(await startOf(second.api)).toBe(starts[1]);
    expect((await ask('GET', `${second.public}/fp/nothing`, { connection: 'close' })).status).toBe(404);
  });

  it('are refused where one of them does not share', async () => {
    const env = await shared();
    await world.replica({ ...env, SHARE_PORTS: undefined });
    expect(await Replica.runToEnd(world.environment({ ...env, LOG_LEVEL: undefined }))).toEqual({
      code: 1,
      output: `token-broker: port ${env['PORT']} is taken: free it, or set PORT to another\n`,
    });
  });
});
