import { Companion } from '../companion.js';
import type { Load, LoadOrder } from './order.js';

const PROGRAM = new URL('./main.js', import.meta.url);

/** What makes requests, in a process of its own: its work is not on the event loop of what is measured. */
export class Generator {
  readonly #program = Companion.start(PROGRAM);

  /** One load at a time. Throws where a connection breaks, or an answer is about another company. */
  async run(order: LoadOrder): Promise<Load> {
    return this.#program.ask<Load>({ ...order });
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}

/** How many answers came, whatever their status. */
export function totalOf({ answers }: Load): number {
  return Object.values(answers).reduce((sum, count) => sum + count, 0);
}
