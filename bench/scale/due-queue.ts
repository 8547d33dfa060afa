import type { Random } from '#broker/token/calendar.js';
import { dueRank } from '#broker/token/due-order.js';
import { Heap } from './heap.js';

/**
 * What is due, in the order of `compareDue`: a heap for each of its ranks. Within a rank the order never changes; as time
 * passes, what lived goes over to what has expired.
 */
export class DueQueue {
  readonly #ranks = [new Heap(), new Heap(), new Heap()] as const;

  get size(): number {
    return this.#ranks.reduce((sum, { size }) => sum + size, 0);
  }

  /** `expiresAt` null: no token yet, or one that never expires. */
  add(id: number, expiresAt: number | null, now: number): void {
    this.#ranks[dueRank(expiresAt, now)].push(expiresAt ?? 0, id);
  }

  /** Takes out what is to be claimed first; undefined where nothing is due. */
  takeFirst(now: number): number | undefined {
    const [living, , expired] = this.#ranks;
    while (living.size > 0 && dueRank(living.firstKey, now) !== 0) {
      const key = living.firstKey;
      expired.push(key, living.pop());
    }
    return this.#ranks.find(({ size }) => size > 0)?.pop();
  }

  /** Takes out any, as a probe does. */
  takeAny(random: Random): number | undefined {
    let place = Math.floor(random() * this.size);
    for (const rank of this.#ranks) {
      if (place < rank.size) return rank.takeAt(place);
      place -= rank.size;
    }
    return undefined;
  }
}
