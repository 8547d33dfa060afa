import type { Finding } from '../findings.js';
import { percentile } from '../findings.js';
import type { Load } from '../load/order.js';
import { type CellName, type Sizes } from './cell-names.js';
import type { Measured } from './measured.js';
import type { Memory } from './memory.js';
import type { StartTimes } from './start-times.js';

const MEGABYTE = 2 ** 20;

/** All that a run came to. */
export interface Results {
  readonly measured: Measured;
  readonly clients: readonly number[];
  /** The number of clients that goals are about. */
  readonly compared: number;
  readonly sizes: Sizes;
  /** Renewals a second beside the reads, one for each such load. */
  readonly renewals: readonly number[];
  readonly starts: readonly StartTimes[];
  readonly memory: Memory;
  /** How often the database was asked for a connection, for each read. */
  readonly lookups: { readonly warm: number; readonly cold: number };
  /** Connections that were read before the memory was looked at. */
  readonly cached: number;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** The ratios and their goals. */
export function judgeReads(results: Results): Finding[] {
  const { sizes, renewals, starts, memory, cached, lookups } = results;
  const rate = ratios(results, ({ perSecond }) => perSecond);
  const thrift = ratios(results, ({ perSecond, cores }) => perSecond / cores.server);
  const late = ratios(results, ({ latency }) => latency.p99);
  const [few, many] = [sizes.small, sizes.large].map((count) => count.toLocaleString('en'));
  const atLeast = (goal: number): Pick<Finding, 'goal'> => ({ goal: { atLeast: goal } });
  const atMost = (goal: number): Pick<Finding, 'goal'> => ({ goal: { atMost: goal } });
  const times = 'times';
  const found: Finding[] = [
    {
      name: 'one connection, of bare node:http (aim 0.75)',
      value: rate('one', 'http'),
      unit: times,
      ...atLeast(0.6),
    },
    { name: "p99 of it, of bare node:http's", value: late('one', 'http'), unit: times, ...atMost(2) },
    {
      name: 'the same by processor time, whoever else has the cores',
      value: thrift('one', 'http'),
      unit: times,
    },
    {
      name: 'one connection, of node:http with a hash and a decryption',
      value: rate('one', 'least'),
      unit: times,
    },
    { name: 'one connection, of bare Fastify', value: rate('one', 'fastify'), unit: times },
    { name: 'one connection, of Nest on Fastify', value: rate('one', 'nest'), unit: times },
    { name: `${few} uniform, of one`, value: rate('uniform', 'one'), unit: times, ...atLeast(0.9) },
    { name: `${few} zipf, of one`, value: rate('zipf', 'one'), unit: times },
    {
      name: 'cold, of Fastify with a SELECT and a decryption',
      value: rate('cold', 'sealed'),
      unit: times,
      ...atLeast(0.8),
    },
    { name: 'the same by processor time', value: thrift('cold', 'sealed'), unit: times },
    { name: 'beside renewals, of quiet', value: rate('beside', 'uniform'), unit: times, ...atLeast(0.75) },
    { name: 'renewals beside', value: median(renewals), unit: 'a second' },
    {
      name: `warm among ${many}, of among ${few}`,
      value: rate('warmLarge', 'uniform'),
      unit: times,
      ...atLeast(0.95),
    },
    {
      name: `cold among ${many}, of among ${few}`,
      value: rate('coldLarge', 'coldSmall'),
      unit: times,
      ...atLeast(0.9),
    },
    {
      name: 'start until ready, of Nest with TypeORM',
      value: median(starts.map(({ broker, bare }) => broker / bare)),
      unit: times,
      ...atMost(2),
    },
    { name: 'start until ready', value: median(starts.map(({ broker }) => broker)), unit: 'ms' },
    { name: 'lookups of a warm read', value: lookups.warm, unit: 'lookups', ...atMost(0.1) },
    { name: 'lookups of a cold read', value: lookups.cold, unit: 'lookups', ...atLeast(0.95) },
    { name: 'memory, idle', value: memory.idle / MEGABYTE, unit: 'MB', ...atMost(130) },
    {
      name: `memory, ${cached.toLocaleString('en')} connections read`,
      value: memory.cached / MEGABYTE,
      unit: 'MB',
      ...atMost(300),
    },
    ...generatorOf(results),
  ];
  return found.map((finding) => ({ ...finding, name: `reads: ${finding.name}` }));
}

/** Whether it is the server that was measured: the generator has room, and what it writes down costs little. */
function generatorOf(results: Results): Finding[] {
  const bare = results.measured.of('http', results.compared);
  const busy = (of: keyof Load['busy']): number => median(bare.map((load) => load.busy[of]));
  return [
    { name: 'bare node:http has work', value: busy('server'), unit: 'of the time', goal: { atLeast: 0.9 } },
    { name: 'and the generator', value: busy('generator'), unit: 'of the time', goal: { atMost: 0.9 } },
    {
      name: 'bare node:http where no times are taken, of where they are',
      value: ratios(results, ({ perSecond }) => perSecond)('untimed', 'http'),
      unit: 'times',
    },
  ];
}

/** The median over the turns of one cell's value in proportion to another's of the same turn. */
function ratios(
  { measured, compared }: Results,
  valueOf: (load: Load) => number,
): (of: CellName, to: CellName) => number {
  return (of, to) => median(measured.ratios(of, to, compared, valueOf));
}
