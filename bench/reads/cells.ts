import type { Generator } from '../load/generator.js';
import { totalOf } from '../load/generator.js';
import type { Companies, Load, LoadOrder } from '../load/order.js';
import type { CellName } from './cell-names.js';
import type { Contender } from './contender.js';
import type { Measured } from './measured.js';

/** One thing to be measured, again in each turn. */
export interface Cell {
  readonly name: CellName;
  readonly contender: Contender;
  /** Without them, always the first. */
  readonly companies?: Companies;
  readonly isUntimed?: boolean;
  /** What is to go on beside it, for so many seconds. */
  readonly beside?: {
    readonly begin: (seconds: number) => Promise<void>;
    readonly end: () => Promise<void>;
  };
}

/** What is compared with each other. */
export type Group = readonly Cell[];

/** How long each is asked in a turn. */
export interface Pace {
  readonly seconds: number;
  /** Seconds before these that are not counted. */
  readonly leadSeconds: number;
}

/** Of what has just started, reads of each connection before any counts: by then its answer is kept, and in the trail. */
const READS_BEFORE = 10;

/** Of each connection, after what went on beside is over. */
const READS_BEHIND = 2;
const CLIENTS_BEHIND = 32;

/** What has just started is slower for a while, and in each minute the trail has to begin an event for each connection that is read. */
export async function warmUp(group: Group, clients: number, pace: Pace, generator: Generator): Promise<void> {
  for (const cell of group) {
    const { companies } = cell;
    const isEach = companies?.order === 'uniform';
    const length = isEach ? { seconds: 0, requests: READS_BEFORE * companies.count } : pace;
    await cell.beside?.begin(pace.seconds);
    await runCell(cell, { clients, ...length }, generator);
    await endBeside(cell, generator);
  }
}

/** Each of them once; `isBackwards` in every second turn, so that none has always the same before it. */
export async function runTurn(
  group: Group,
  clients: number,
  pace: Pace,
  { generator, measured, isBackwards }: { generator: Generator; measured: Measured; isBackwards: boolean },
): Promise<void> {
  const loads = new Map<CellName, Load>();
  for (const cell of isBackwards ? group.toReversed() : group) {
    await cell.beside?.begin(pace.leadSeconds + pace.seconds);
    loads.set(cell.name, await runCell(cell, { clients, ...pace }, generator));
    await endBeside(cell, generator);
  }
  measured.add(clients, loads);
}

/** What was renewed has to be read anew, and its answer is kept once that was done twice: it is over before anything else counts. */
async function endBeside(cell: Cell, generator: Generator): Promise<void> {
  const { beside, companies } = cell;
  await beside?.end();
  if (!beside || !companies) return;
  const each = { order: 'walk', count: companies.count } as const;
  const length = { clients: CLIENTS_BEHIND, seconds: 0, requests: READS_BEHIND * companies.count };
  await runCell({ ...cell, companies: each }, length, generator);
}

/** How often each was asked: there a walk goes on, so that it meets the same company again as late as can be. */
const asked = new Map<Contender, number>();

/** Requests of all loads together, those that were not counted among them. */
export function timesAsked(contender: Contender): number {
  return asked.get(contender) ?? 0;
}

/** Throws where anything but a token is answered. */
async function runCell(
  { name, contender, companies, isUntimed = false }: Cell,
  load: Pick<LoadOrder, 'clients' | 'seconds' | 'leadSeconds' | 'requests'>,
  generator: Generator,
): Promise<Load> {
  const { url, keys, pid } = contender;
  const from = timesAsked(contender);
  const whom = companies ? { url, companies: { ...companies, from } } : { url: `${url}1` };
  const answered = await generator.run({ ...whom, ...load, keys, isUntimed, serverPid: pid });
  asked.set(contender, from + answered.sent);
  if (answered.answers['200'] !== totalOf(answered))
    throw new Error(`${name} answered ${JSON.stringify(answered.answers)}`);
  return answered;
}
