import { randomUUID } from 'node:crypto';
import type { Database } from './database.js';

/** Where a replica says something to itself, to see whether it would hear the others. */
export const ECHO = 'echo';
const SAY = { text: `select pg_notify('${ECHO}', $1)` };

/**
 * What a replica says through the pool, to be heard where it listens: the two may come to lead to different servers, when
 * one of them was promoted or a pooler has moved on. Only what was said for sure and is not heard tells against the channel;
 * a pool that is full, or away, says nothing of it.
 */
export class Echo {
  #said: string | null = null;
  /** When it was certain that it had been said; monotonic. */
  #certainAt = Infinity;

  constructor(private readonly database: Database) {}

  /** Says something, unless the last is still on its way; one connection of the pool for about a millisecond. */
  async say(): Promise<void> {
    if (this.#said !== null) return;
    const said = (this.#said = randomUUID());
    try {
      await this.database.run(SAY, [said]);
      if (this.#said === said) this.#certainAt = performance.now();
    } catch (error) {
      if (this.#said === said) this.#said = null;
      throw error;
    }
  }

  /** Whether that is what was said last. */
  hear(payload: string): boolean {
    if (payload !== this.#said) return false;
    this.#said = null;
    this.#certainAt = Infinity;
    return true;
  }

  /** Milliseconds since something was said for sure that is not heard yet; negative where all was heard. */
  get unheardMs(): number {
    return performance.now() - this.#certainAt;
  }
}
