import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mostWithin } from '../../bench/engine/upstream-peaks.js';
import { type Finding, isReached, percentile, renderTable } from '../../bench/findings.js';
import { readOptions } from '../../bench/options.js';
import { inheritedUnpacked } from '../support/replica.js';

const PROGRAM = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const TINY = '--rows 40,120 --batches 3 --due 60 --rounds 1 --concurrency 8 --cap-seconds 1'.split(' ');

interface Told extends Finding {
  readonly reached: boolean | null;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** As `npm run bench` runs it, once it is built. */
function bench(...argv: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [PROGRAM, ...argv],
      { env: { ...process.env, ...inheritedUnpacked() } },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr }),
    );
  });
}

describe('npm run bench', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'token-broker-bench-spec-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('runs each part of the engine to its end, and writes its ratios down', async () => {
    const out = join(folder, 'findings.json');
    const { code, stdout, stderr } = await bench('claim', 'drain', ...TINY, '--out', out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    const { findings } = JSON.parse(readFileSync(out, 'utf8')) as { findings: Told[] };
    const ratios = findings.filter(({ goal }) => goal !== undefined);
    expect(ratios.map(({ name }) => name)).toEqual([
      'claim, nothing due: ratio of p99',
      'claim, a few due: ratio of p99',
      'claim, one, for a caller: ratio of p99',
      'claim, everything due: ratio of p99',
      'drain: broker in proportion to the bare loop',
      'drain: memory of the last quarter in proportion to the second',
      'cap: most calls within any second',
      'cap: most calls in flight',
      'cap: calls of one renewal',
    ]);
    for (const finding of findings) {
      expect(finding.value).toBeGreaterThan(0);
      expect(finding.reached).toBe(isReached(finding) ?? null);
      expect(stdout).toContain(finding.name);
    }
    // As many calls as renewals, since nothing failed: the drain did what it was timed for.
    expect(findings.find(({ name }) => name === 'cap: calls of one renewal')?.value).toBe(1);
  }, 240_000);

  it('says what it takes where it is asked for something else', async () => {
    const { code, stdout, stderr } = await bench('walk');
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(/^bench: no part is called walk: claim, drain, reads, strangers\n/);
  });
});

describe('the figures', () => {
  it('are read as counts, with the smaller table where only the larger is given', () => {
    expect(readOptions(['--rows', '10m', '--due', '2k'], ['claim'])).toMatchObject({
      parts: ['claim'],
      rows: [10_000, 10_000_000],
      due: 2_000,
    });
    expect(() => readOptions(['--due', '0'], [])).toThrow('0 is no count like 500, 10k or 1m');
  });

  it('know a goal from above and from below', () => {
    const finding = { name: 'n', value: 0.7, unit: 'times' };
    expect(isReached({ ...finding, goal: { atLeast: 0.7 } })).toBe(true);
    expect(isReached({ ...finding, goal: { atLeast: 0.71 } })).toBe(false);
    expect(isReached({ ...finding, goal: { atMost: 0.69 } })).toBe(false);
    expect(isReached(finding)).toBeUndefined();
    expect(renderTable([{ ...finding, goal: { atLeast: 1 } }])).toBe('n  0.7  times  at least 1  MISSED');
  });

  it('take the nearest rank for a percentile', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0.5, 0.99, 1].map((part) => percentile(hundred, part))).toEqual([50, 99, 100]);
    expect(percentile([3, 1, 2], 0.5)).toBe(2);
  });

  it('find the worst second wherever it begins', () => {
    expect(mostWithin([], 1_000)).toBe(0);
    expect(mostWithin([0, 1_000, 2_000], 1_000)).toBe(1);
    expect(mostWithin([0, 600, 900, 1_500, 1_599, 1_601], 1_000)).toBe(4);
  });
});
