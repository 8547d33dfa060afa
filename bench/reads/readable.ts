import type { KeyObject } from 'node:crypto';
import { Client } from 'pg';
import { CLAIM_SQL } from '../engine/claim.sql.js';
import { BrokerChild } from '../engine/broker-child.js';
import { Insides } from '../engine/insides.js';
import { makeKeys } from '../engine/operator.js';
import { fillSealed } from '../engine/sealed-connections.js';
import type { Stage } from '../engine/stage.js';
import { PROVIDER, type Surroundings } from '../engine/surroundings.js';
import { type Contender, tokensOf } from './contender.js';

/** Renewals a second beside the reads. */
export const RENEWALS_PER_SECOND = 200;
/** The part of a rate that the calendar may use, once what may begin at the same moment is taken off. */
const CALENDAR_PART = 0.72;
/** As where nobody says anything else; there are several brokers at a time. */
export const POOL = 10;
const CAPS = { ratePerSecond: Math.ceil(RENEWALS_PER_SECOND / CALENDAR_PART), concurrency: 20 };

/** A database of connections with tokens that outlive the benchmark, by companies from 1. */
export interface Readable {
  readonly surroundings: Surroundings;
  /** How many. */
  readonly count: number;
  /** What they are sealed with. */
  readonly sealKey: KeyObject;
}

export async function makeReadable(
  { folder, simulatorUrl, database }: Stage,
  name: string,
  count: number,
  tell: (done: number) => void,
): Promise<Readable> {
  const databaseUrl = await database(`reads_${name}`);
  const surroundings = { folder, simulatorUrl, databaseUrl, caps: CAPS, pool: POOL };
  const insides = await Insides.open(surroundings);
  await fillSealed(insides, count, tell);
  const { sealKey } = insides;
  await insides.close();
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(CLAIM_SQL.wideOpen.text, [PROVIDER, CAPS.concurrency]);
  await client.query('vacuum analyze connections');
  await client.end();
  return { surroundings, count, sealKey };
}

/** Several services, so that no limit of a single one is met. */
const CALLERS = 4;

/** A broker over it, with the keys of clients as services have them. */
export interface ReadBroker extends Contender {
  readonly broker: BrokerChild;
}

export async function startReadBroker(
  { surroundings }: Pick<Readable, 'surroundings'>,
  nodeOptions: readonly string[] = [],
): Promise<ReadBroker> {
  const broker = await BrokerChild.start(surroundings, nodeOptions);
  const resource = `${PROVIDER}/companies/*`;
  const permissions = ['token:read', 'token:report'].map((action) => ({ action, resource }));
  const keys = await makeKeys(broker.api, CALLERS, permissions);
  return { broker, url: tokensOf(broker.api), keys, pid: broker.pid, stop: () => broker.stop() };
}

/** One that finds nothing in memory. */
export async function startColdBroker({ surroundings }: Readable): Promise<ReadBroker> {
  return startReadBroker({ surroundings: { ...surroundings, cachedTokens: 1 } });
}
