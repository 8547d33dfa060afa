import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { drawPicture } from '../../bench/scale/picture.js';
import type { Results } from '../../bench/scale/results.js';
const CONNECTIONS = 20_000;
/** As `npm run bench:scale` runs it: in a program of its own, since a million events take jest's sandbox a minute. */
const PROGRAM = fileURLToPath(new URL('../../dist/bench/scale/main.js', import.meta.url));

async function simulate(): Promise<Map<string, Results>> {
  const numbers = ['--connections', String(CONNECTIONS), '--beside', String(CONNECTIONS)];
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, '--json', ...numbers], {
    maxBuffer: 10_000_000,
  });
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Results);
  return new Map(all.map((results) => [results.scenario.name, results]));
}

/** What every day must have kept to, whatever happened on it. */
function expectKept({ scenario, minutes, peak, recoveredAfterS, noticedAfterS }: Results): void {
  expect(peak).toBeLessThanOrEqual(scenario.ratePerSecond);
  // Nothing stays behind: at the end all have a token, and what waits is what has just come due.
  expect(minutes.at(-1)?.expired).toBe(0);
  expect(minutes.at(-1)?.backlog).toBeLessThan(scenario.poisoned + 60 * scenario.ratePerSecond);
  for (const s of noticedAfterS) expect(s ?? Infinity).toBeLessThanOrEqual(70);
  for (const s of recoveredAfterS) expect(s ?? Infinity).toBeLessThan(scenario.lifetimeS);
}

const most = ({ minutes }: Results, of: 'backlog' | 'expired'): number =>
  Math.max(...minutes.map((minute) => minute[of]));

describe('20,000 connections with tokens of one hour', () => {
  let all: Map<string, Results>;
  beforeAll(async () => {
    all = await simulate();
  }, 240_000);

  function resultsOf(name: string): Results {
    const results = all.get(name);
    if (!results) throw new Error(`${name} was not simulated`);
    return results;
  }

  describe('over a day with an outage of two hours', () => {
    let results: Results;
    beforeAll(() => {
      results = resultsOf('long-outage');
    });

    it('lose no token that could have been saved', () => {
      expectKept(results);
      // Each was without one once, and none at any other time.
      expect(results.lost).toBe(CONNECTIONS);
      expect(most(results, 'expired')).toBe(CONNECTIONS);
      // What comes due in the second in which the outage begins cannot be told from what came too late.
      expect(results.lostInVain).toBeLessThanOrEqual(results.scenario.ratePerSecond);
    });

    it('are drained at the cap of the calendar, and no faster', () => {
      const { scenario, minutes } = results;
      const back = scenario.outages[0]?.to ?? 0;
      const draining = minutes.filter(({ at }) => at > back + 180 && at <= back + 1_800);
      for (const { calls } of draining) {
        expect(calls / 60).toBeGreaterThan(scenario.ratePerSecond * 0.8 * 0.95);
        expect(calls / 60).toBeLessThanOrEqual(scenario.ratePerSecond * 0.8);
      }
      expect(draining).toHaveLength(27);
    });

    it('ask a provider that is away a few times a minute', () => {
      const { scenario, minutes } = results;
      const { from, to } = scenario.outages[0] ?? { from: 0, to: 0 };
      const away = minutes.filter(({ at }) => at > from + 300 && at <= to);
      expect(Math.max(...away.map(({ calls }) => calls))).toBeLessThanOrEqual(3);
      expect(Math.max(...away.map(({ calls }) => calls))).toBeGreaterThan(0);
    });

    it('can be seen in a picture', () => {
      const picture = drawPicture(results);
      expect(picture).toMatch(/^<svg [^>]*aria-label="20,000 connections, .*2 h outage/);
      expect(picture).toContain('cap: 14 calls/s');
      expect(picture).not.toMatch(/NaN|Infinity|undefined/);
      expect(picture.length).toBeLessThan(60_000);
    });
  });

  it('lose few in an outage that some tokens outlast: those that had a few seconds to live when it was over', () => {
    const results = resultsOf('short-outage');
    expectKept(results);
    expect(results.lost).toBeGreaterThan(CONNECTIONS * 0.4);
    expect(results.lost).toBeLessThan(CONNECTIONS * 0.65);
    expect(results.lostInVain).toBeLessThanOrEqual(5 * results.scenario.ratePerSecond);
  });

  it('are not held up by a company of which every call times out', () => {
    const results = resultsOf('poisoned-company');
    expectKept(results);
    expect(results.scenario.poisoned).toBe(20);
    expect(results.lost).toBe(CONNECTIONS - results.scenario.poisoned);
    expect(results.lostInVain).toBeLessThanOrEqual(results.scenario.ratePerSecond);
  });

  it('lose nothing to a provider that now and then is asked too often', () => {
    const results = resultsOf('too-many-requests');
    expectKept(results);
    expect(results.lost).toBe(0);
    expect(most(results, 'backlog')).toBeGreaterThan(300);
  });
});
