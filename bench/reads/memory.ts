import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerChild } from '../engine/broker-child.js';
import type { Generator } from '../load/generator.js';
import { type Readable, startReadBroker } from './readable.js';

const CLIENTS = 32;
/** Slower than can be: the trail of so many different reads is to be written in time. */
const READS_PER_SECOND = 5_000;

/** While it is waited for. */
const LOOKS = 10;
/** A part less is less: the rest is chance. */
const GIVEN_BACK = 0.99;

/** Bytes of a broker's memory that are resident. */
export interface Memory {
  readonly idle: number;
  /** Once this many connections were read, each once, and nothing is going on any more. */
  readonly cached: number;
}

/** A broker that has just started, before and after `count` different reads. @param idleSeconds for which it is to grow no smaller then */
export async function measureMemory(
  readable: Readable,
  count: number,
  generator: Generator,
  idleSeconds: { readonly before: number; readonly after: number },
): Promise<Memory> {
  const { broker, url, keys, stop } = await startReadBroker(readable);
  try {
    const idle = await bytesAtRest(broker, idleSeconds.before);
    const load = await generator.run({
      url,
      keys,
      companies: { order: 'walk', count },
      requests: count,
      seconds: 0,
      clients: CLIENTS,
      perSecond: READS_PER_SECOND,
    });
    if (load.answers['200'] !== count) throw new Error(`the broker answered ${JSON.stringify(load.answers)}`);
    return { idle, cached: await bytesAtRest(broker, idleSeconds.after) };
  } finally {
    await stop();
  }
}

/** Resident, as the system counts it, once nothing more was given back for so many seconds. */
async function bytesAtRest(broker: BrokerChild, seconds: number): Promise<number> {
  let least = Infinity;
  let now = 0;
  for (let leastAt = performance.now(); performance.now() - leastAt < seconds * 1_000;) {
    await sleep((seconds * 1_000) / LOOKS);
    now = (await broker.vitals()).residentBytes;
    if (now > least * GIVEN_BACK) continue;
    least = now;
    leastAt = performance.now();
  }
  return now;
}
