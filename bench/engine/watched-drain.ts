import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../findings.js';
import { BrokerChild, type Vitals } from './broker-child.js';
import type { Surroundings } from './surroundings.js';

const LOOK_EVERY_MS = 1_000;
const FIRST_LOOKS_MS = 50;
/** A drain that stands still for so long will not go on. */
const PATIENCE_MS = 60_000;

/** How a broker was while it drained. Bytes are of its resident memory. */
export interface Watched {
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly peakBytes: number;
  /** The last quarter of the drain in proportion to the second: above 1 it grew, once it was warm. */
  readonly growth: number;
  /** Microseconds of a processor for each renewal, in the broker alone. */
  readonly cpuMicros: number;
}

/** Starts a broker, watches it until `count` connections are renewed, and stops it in order. */
export async function watchDrain(
  surroundings: Surroundings,
  count: number,
  tell: (done: number) => void,
  nodeOptions: readonly string[] = [],
): Promise<Watched> {
  const broker = await BrokerChild.start(surroundings, nodeOptions);
  try {
    const looks = await watch(broker, count, tell);
    const bytes = looks.map(({ residentBytes }) => residentBytes);
    const [first, last] = [looks[0], looks.at(-1)];
    if (!first || !last) throw new Error('nobody looked');
    const quarter = (which: number): number[] =>
      bytes.slice(Math.floor((bytes.length * which) / 4), Math.ceil((bytes.length * (which + 1)) / 4));
    return {
      firstBytes: first.residentBytes,
      lastBytes: last.residentBytes,
      peakBytes: Math.max(...bytes),
      growth: percentile(quarter(3), 0.5) / percentile(quarter(1), 0.5),
      cpuMicros: ((last.cpuSeconds - first.cpuSeconds) / (last.renewed - first.renewed)) * 1e6,
    };
  } finally {
    await broker.stop();
  }
}

async function watch(broker: BrokerChild, count: number, tell: (done: number) => void): Promise<Vitals[]> {
  const looks = [await broker.vitals()];
  let movedAt = Date.now();
  for (let renewed = 0; renewed < count;) {
    // A short drain is looked at more often, or it would be over at the second look.
    await sleep(looks.length < 20 ? FIRST_LOOKS_MS : LOOK_EVERY_MS);
    const vitals = await broker.vitals();
    looks.push(vitals);
    if (vitals.renewed > renewed) movedAt = Date.now();
    else if (Date.now() - movedAt > PATIENCE_MS) throw new Error(`the drain stands still at ${renewed}`);
    renewed = vitals.renewed;
    tell(renewed);
  }
  return looks;
}
