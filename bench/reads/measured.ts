import type { Load } from '../load/order.js';
import type { CellName } from './cell-names.js';

/** What was measured at nearly the same moment, with one number of clients. */
interface Turn {
  readonly clients: number;
  readonly loads: ReadonlyMap<CellName, Load>;
}

/** What all turns came to. */
export class Measured {
  readonly #turns: Turn[] = [];

  add(clients: number, loads: ReadonlyMap<CellName, Load>): void {
    this.#turns.push({ clients, loads });
  }

  /** In their order; empty where it was not measured. */
  of(name: CellName, clients: number): Load[] {
    return this.#of(clients).flatMap(({ loads }) => loads.get(name) ?? []);
  }

  /** One value in proportion to another of the same turn, for each in which both were measured. */
  ratios(of: CellName, to: CellName, clients: number, valueOf: (load: Load) => number): number[] {
    return this.#of(clients).flatMap(({ loads }) => {
      const [one, other] = [loads.get(of), loads.get(to)];
      return one && other ? [valueOf(one) / valueOf(other)] : [];
    });
  }

  #of(clients: number): Turn[] {
    return this.#turns.filter((turn) => turn.clients === clients);
  }
}
