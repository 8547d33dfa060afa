import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Finding } from '../../bench/findings.js';
import { readAnswer } from '../../bench/load/answer.js';
import { Choice } from '../../bench/load/choice.js';
import { CELL_NAMES } from '../../bench/reads/cell-names.js';
import { inheritedUnpacked } from '../support/replica.js';

const PROGRAM = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const TINY = '--rows 40,120 --rounds 1 --seconds 0.1 --clients 4'.split(' ');

describe('npm run bench -- reads', () => {
  let folder: string;
  let findings: Finding[];
  let stdout: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'token-broker-reads-spec-'));
    const files = ['--out', join(folder, 'findings.json'), '--picture', join(folder, 'reads.svg')];
    // It ends with an error where anybody answers anything but 200 with the token of the company that was asked for.
    ({ stdout } = await promisify(execFile)(process.execPath, [PROGRAM, 'reads', ...TINY, ...files], {
      env: { ...process.env, ...inheritedUnpacked() },
    }));
    const told = JSON.parse(readFileSync(join(folder, 'findings.json'), 'utf8')) as { findings: Finding[] };
    findings = told.findings;
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('asks every contender, and tells of each how many it answered and how fast', () => {
    for (const name of CELL_NAMES) {
      const told = findings.filter((finding) => finding.name.startsWith(`reads, 4 clients, ${name}: `));
      expect(told.map((finding) => finding.name.split(': ')[1])).toEqual([
        'rate',
        'p50',
        'p99',
        'p99.9',
        'processor time',
        'server',
        'generator',
        'server busy',
        'generator busy',
      ]);
      expect(told[0]?.value).toBeGreaterThan(0);
      if (name === 'untimed') continue;
      expect(told[1]?.value).toBeGreaterThan(0);
      // Of a few answers both are the same one's.
      expect(told[2]?.value).toBeGreaterThanOrEqual(told[1]?.value ?? Infinity);
    }
  });

  it('comes to every ratio that has a goal', () => {
    const judged = findings.filter(({ goal }) => goal !== undefined);
    expect(judged.map(({ name, goal }) => [name, ...Object.values(goal ?? {})])).toEqual([
      ['reads: one connection, of bare node:http (aim 0.75)', 0.6],
      ["reads: p99 of it, of bare node:http's", 2],
      ['reads: 40 uniform, of one', 0.9],
      ['reads: cold, of Fastify with a SELECT and a decryption', 0.8],
      ['reads: beside renewals, of quiet', 0.75],
      ['reads: warm among 120, of among 40', 0.95],
      ['reads: cold among 120, of among 40', 0.9],
      ['reads: start until ready, of Nest with TypeORM', 2],
      ['reads: lookups of a warm read', 0.1],
      ['reads: lookups of a cold read', 0.95],
      ['reads: memory, idle', 130],
      ['reads: memory, 120 connections read', 300],
      ['reads: bare node:http has work', 0.9],
      ['reads: and the generator', 0.9],
    ]);
    for (const { value } of judged) expect(value).toBeGreaterThanOrEqual(0);
    expect(findings.find(({ name }) => name === 'reads: renewals beside')?.value).toBeGreaterThan(0);
  });

  it('prints both tables, and draws a picture', () => {
    expect(stdout).toMatch(/^\| what +\| measured +\| goal +\|/m);
    expect(stdout).toMatch(/^\| 4 +\| broker, warm: 40 connections, zipf +\|/m);
    const picture = readFileSync(join(folder, 'reads.svg'), 'utf8');
    expect(picture).toMatch(/^<svg [^>]*aria-label="Fetches a second of 4 clients/);
    expect(picture).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('the load', () => {
  it('knows an answer once it is whole, whoever wrote its headers', () => {
    const answer = Buffer.from(
      'HTTP/1.1 429 Too Many Requests\r\ncontent-length: 5\r\ndate: now\r\n\r\nsorry',
    );
    for (let length = 0; length < answer.length; length += 1)
      expect(readAnswer(answer.subarray(0, length))).toBeUndefined();
    expect(readAnswer(answer)).toEqual({ status: 429, length: answer.length });
    expect(readAnswer(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))?.status).toBe(200);
    expect(() => readAnswer(Buffer.from('HTTP/1.1 200 OK\r\n\r\ncontent-length: 1'))).toThrow(
      'no known length',
    );
  });

  it('walks by every company once, goes on where it stopped, and leaves no neighbours together', () => {
    const walk = new Choice({ order: 'walk', count: 1_000 });
    const first = Array.from({ length: 600 }, () => walk.take());
    const next = new Choice({ order: 'walk', count: 1_000, from: 600 });
    const all = [...first, ...Array.from({ length: 400 }, () => next.take())];
    expect(new Set(all).size).toBe(1_000);
    expect([Math.min(...all), Math.max(...all)]).toEqual([1, 1_000]);
    const apart = all.slice(1).map((company, index) => Math.abs(company - (all[index] ?? 0)));
    expect(Math.min(...apart)).toBeGreaterThan(300);
  });

  it('takes some from all over a larger database', () => {
    const walk = new Choice({ order: 'walk', count: 10, spacing: 100 });
    const taken = Array.from({ length: 10 }, () => walk.take()).sort((one, other) => one - other);
    expect(taken).toEqual([1, 101, 201, 301, 401, 501, 601, 701, 801, 901]);
  });

  it('asks for the first company of many most often, or for all alike', () => {
    const drawn = (order: 'uniform' | 'zipf'): number[] => {
      const choice = new Choice({ order, count: 100 });
      const counts = new Array<number>(101).fill(0);
      for (let time = 0; time < 100_000; time += 1) {
        const company = choice.take();
        counts[company] = (counts[company] ?? NaN) + 1;
      }
      return counts.slice(1);
    };
    const uniform = drawn('uniform');
    expect(Math.min(...uniform)).toBeGreaterThan(800);
    expect(Math.max(...uniform)).toBeLessThan(1_200);
    const zipf = drawn('zipf');
    // The harmonic number of 100 is 5.19: the first has so much of all, the tenth a tenth of that.
    expect((zipf[0] ?? 0) / 100_000).toBeCloseTo(1 / 5.19, 2);
    expect((zipf[9] ?? 0) / 100_000).toBeCloseTo(0.1 / 5.19, 2);
    expect(drawn('zipf')).toEqual(zipf);
  });
});
