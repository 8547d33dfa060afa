import { setTimeout as sleep } from 'node:timers/promises';
import { Companion } from '../companion.js';
import { BrokerChild } from '../engine/broker-child.js';
import type { Surroundings } from '../engine/surroundings.js';

const BARE_START = new URL('./contenders/bare-start.js', import.meta.url);
const LOOKS_EVERY_MS = 5;

/** Milliseconds from the start of a process until it says that it is ready. */
export interface StartTimes {
  readonly broker: number;
  /** Nest, Fastify and TypeORM on the same database, and nothing else. */
  readonly bare: number;
}

/** Both once. The database has been migrated before. */
export async function timeStarts(surroundings: Surroundings): Promise<StartTimes> {
  return { bare: await timeBare(surroundings.databaseUrl), broker: await timeBroker(surroundings) };
}

async function timeBroker(surroundings: Surroundings): Promise<number> {
  const begun = performance.now();
  const broker = await BrokerChild.start(surroundings);
  await ready(broker.api);
  const took = performance.now() - begun;
  await broker.stop();
  return took;
}

async function timeBare(databaseUrl: string): Promise<number> {
  const begun = performance.now();
  const bare = Companion.start(BARE_START);
  await ready(`http://127.0.0.1:${await bare.ask<number>(databaseUrl)}`);
  const took = performance.now() - begun;
  await bare.stop();
  return took;
}

async function ready(origin: string): Promise<void> {
  while (!(await fetch(`${origin}/health/ready`)).ok) await sleep(LOOKS_EVERY_MS);
}
