import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Finding } from '../findings.js';
import type { Options } from '../options.js';
import type { Progress } from '../progress.js';
import type { BareOrder } from './bare-loop.js';
import { DrainTables } from './drain-table.js';
import { Insides } from './insides.js';
import { fillSealed } from './sealed-connections.js';
import { onStage } from './stage.js';
import type { Caps, Surroundings } from './surroundings.js';
import { delayUpstream, forgetUpstream, readPeaks } from './upstream-peaks.js';
import { watchDrain, type Watched } from './watched-drain.js';

const BARE_LOOP = fileURLToPath(new URL('./bare-loop.js', import.meta.url));
const ROUNDS = 2;
/** Faster than any machine: what a drain is held back by is the machine. */
const NO_RATE = 100_000;
/** A cap that the machine could pass, with answers slow enough that the calls in flight count, too. */
const CAP: Caps = { ratePerSecond: 500, concurrency: 20 };
const CAPPED_DELAY_MS = 15;
/** The part of a rate that the calendar may use. */
const CALENDAR_PART = 0.8;
const MEGABYTE = 2 ** 20;

/** How long each round took. */
interface Seconds {
  readonly bare: number[];
  /** The bare loop that opens a connection for each POST, as the broker does so that no answer is taken for another's. */
  readonly single: number[];
  readonly drain: number[];
}

interface Scene {
  readonly options: Options;
  readonly progress: Progress;
  readonly surroundings: Surroundings;
  readonly tables: DrainTables;
}

/**
 * A backlog drained by one broker, against a bare loop of one POST and one UPDATE, in turns; and a smaller one under a
 * cap, with what arrived at the provider.
 */
export async function benchDrain(options: Options, progress: Progress): Promise<Finding[]> {
  return onStage({ durable: true }, async ({ folder, simulatorUrl, database }) => {
    const caps = { ratePerSecond: NO_RATE, concurrency: options.concurrency };
    const surroundings = { folder, simulatorUrl, databaseUrl: await database('drain'), caps };
    const capped = options.capSeconds * CAP.ratePerSecond * CALENDAR_PART;
    const rows = Math.max(options.due, capped);
    const insides = await Insides.open(surroundings);
    await fillSealed(insides, rows, progress.step('drain: connections sealed', rows));
    await insides.close();
    const tables = await DrainTables.open(surroundings.databaseUrl);
    try {
      const scene = { options, progress, surroundings, tables };
      return [...(await rounds(scene)), ...(await underCap(scene, capped))];
    } finally {
      await tables.close();
    }
  });
}

async function rounds(scene: Scene): Promise<Finding[]> {
  const { options, surroundings, tables } = scene;
  const seconds: Seconds = { bare: [], single: [], drain: [] };
  const { rounds = ROUNDS } = options;
  let watched: Watched | undefined;
  for (let round = 1; round <= rounds; round += 1) {
    seconds.bare.push(await runBare(scene, true));
    seconds.single.push(await runBare(scene, false));

    await forgetUpstream(surroundings.simulatorUrl);
    await tables.makeDue('connections', options.due);
    const tell = scene.progress.step(`drain: round ${round}`, options.due);
    const profile = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
    watched = await watchDrain(surroundings, options.due, tell, profile);
    seconds.drain.push((await tables.rateOf('connections', options.due)).seconds);
  }
  return [...ratesOf(seconds, options.due), ...(watched ? memoryOf(watched) : [])];
}

/** Resolves to the seconds that it took. */
async function runBare(
  { options, progress, surroundings, tables }: Scene,
  keepAlive: boolean,
): Promise<number> {
  const { databaseUrl, simulatorUrl } = surroundings;
  await forgetUpstream(simulatorUrl);
  await tables.makeDue('bare_connections', options.due);
  const order: BareOrder = {
    databaseUrl,
    tokenUrl: `${simulatorUrl}/aggregator/v1/token`,
    count: options.due,
    concurrency: options.concurrency,
    keepAlive,
  };
  const child = fork(BARE_LOOP, [], { execArgv: [] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  child.send(order);
  const [code] = await ended;
  if (code !== 0) throw new Error('the bare loop failed, see above');
  progress.say(`drain: bare loop of ${options.due} done`);
  return (await tables.rateOf('bare_connections', options.due)).seconds;
}

/** Over all rounds, so that a moment in which the machine did something else weighs little. */
function ratesOf({ bare, single, drain }: Seconds, due: number): Finding[] {
  const rate = (seconds: readonly number[]): number =>
    ((due - 1) * seconds.length) / seconds.reduce((sum, it) => sum + it, 0);
  return [
    { name: 'drain: bare loop', value: rate(bare), unit: 'a second' },
    { name: 'drain: bare loop, a connection for each POST', value: rate(single), unit: 'a second' },
    { name: 'drain: broker', value: rate(drain), unit: 'a second' },
    { name: 'drain: broker in proportion to that', value: rate(drain) / rate(single), unit: 'times' },
    {
      name: 'drain: broker in proportion to the bare loop',
      value: rate(drain) / rate(bare),
      unit: 'times',
      goal: { atLeast: 0.7 },
    },
  ];
}

function memoryOf({ firstBytes, lastBytes, peakBytes, growth, cpuMicros }: Watched): Finding[] {
  const megabytes = (which: string, bytes: number): Finding => ({
    name: `drain: memory ${which}`,
    value: bytes / MEGABYTE,
    unit: 'MB',
  });
  return [
    megabytes('at the start', firstBytes),
    megabytes('at the end', lastBytes),
    megabytes('at the most', peakBytes),
    {
      name: 'drain: memory of the last quarter in proportion to the second',
      value: growth,
      unit: 'times',
      goal: { atMost: 1.2 },
    },
    { name: 'drain: processor time of the broker', value: cpuMicros, unit: 'µs a renewal' },
  ];
}

async function underCap({ progress, surroundings, tables }: Scene, count: number): Promise<Finding[]> {
  const { simulatorUrl } = surroundings;
  await tables.makeDue('connections', count);
  await forgetUpstream(simulatorUrl);
  await delayUpstream(simulatorUrl, CAPPED_DELAY_MS);
  const tell = progress.step('drain: under a cap', count);
  await watchDrain({ ...surroundings, caps: CAP }, count, tell);
  const { perSecond } = await tables.rateOf('connections', count);
  const peaks = await readPeaks(simulatorUrl);
  return [
    { name: 'cap: renewals', value: perSecond, unit: 'a second' },
    {
      name: 'cap: most calls within any second',
      value: peaks.perSecond,
      unit: 'calls',
      goal: { atMost: CAP.ratePerSecond },
    },
    {
      name: 'cap: most calls in flight',
      value: peaks.concurrency,
      unit: 'calls',
      goal: { atMost: CAP.concurrency },
    },
    { name: 'cap: calls of one renewal', value: peaks.calls / count, unit: 'calls', goal: { atMost: 1 } },
  ];
}
