import type { Generator } from '../load/generator.js';
import { totalOf } from '../load/generator.js';
import type { Companies, Load } from '../load/order.js';
import type { CellName } from './cell-names.js';
import type { Contender } from './contender.js';

/** One thing to be measured, again in each round. */
export interface Cell {
  readonly name: CellName;
  readonly contender: Contender;
  /** Without them, always the first. */
  readonly companies?: Companies;
  readonly isUntimed?: boolean;
  /** What is to go on beside it. */
  readonly beside?: { readonly begin: () => Promise<void>; readonly end: () => Promise<void> };
}

/** What each round came to, by the cell's name and its number of clients. */
export class Measured {
  readonly #loads = new Map<string, Load[]>();

  add(name: CellName, clients: number, load: Load): void {
    const key = keyOf(name, clients);
    this.#loads.set(key, [...(this.#loads.get(key) ?? []), load]);
  }

  /** One a round, in their order; empty where it was not measured. */
  of(name: CellName, clients: number): readonly Load[] {
    return this.#loads.get(keyOf(name, clients)) ?? [];
  }
}

function keyOf(name: CellName, clients: number): string {
  return `${name} ${clients}`;
}

/** How one round goes. */
export interface Pace {
  readonly clients: readonly number[];
  readonly seconds: number;
  /** Seconds before each that are not counted. */
  readonly leadSeconds: number;
}

/** Every cell once, with every number of clients; in each second round backwards, so that no cell has always the same before it. */
export async function runRound(
  cells: readonly Cell[],
  pace: Pace,
  generator: Generator,
  measured: Measured,
  isBackwards: boolean,
): Promise<void> {
  for (const clients of pace.clients) {
    for (const cell of isBackwards ? cells.toReversed() : cells) {
      await cell.beside?.begin();
      const load = await runCell(cell, clients, pace, generator);
      await cell.beside?.end();
      measured.add(cell.name, clients, load);
    }
  }
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
  clients: number,
  { seconds, leadSeconds }: Pace,
  generator: Generator,
): Promise<Load> {
  const { url, keys, pid } = contender;
  const from = timesAsked(contender);
  const load = await generator.run({
    ...(companies ? { url, companies: { ...companies, from } } : { url: `${url}1` }),
    keys,
    clients,
    seconds,
    leadSeconds,
    isUntimed,
    serverPid: pid,
  });
  asked.set(contender, from + load.sent);
  if (load.answers['200'] !== totalOf(load))
    throw new Error(`${name} answered ${JSON.stringify(load.answers)}`);
  return load;
}
