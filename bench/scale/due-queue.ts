import type { Random } from '#broker/token/calendar.js';
import { dueRank } from '#broker/token/due-order.js';
import { Heap } from './heap.js';

/**
 * What is due, in the order of `compareDue`: a heap for each of its ranks. Within a rank the order never changes; as time
 * passes, what lived goes over to what has expired.
 */
export class DueQueue {
  readonly #ranks = [new Heap(), new Heap(), new Heap()] as const;
  /** Since when each connection is due. */
  readonly #dueAt: Float64Array;

  constructor(connections: number) {
    this.#dueAt = new Float64Array(connections);
  }

  get size(): number {
    return this.#ranks.reduce((sum, { size }) => sum + size, 0);
  }

  /** `expiresAt` null: no token yet, or one that never expires. */
  add(id: number, expiresAt: number | null, dueAt: number, now: number): void {
    this.#dueAt[id] = dueAt;
    const rank = dueRank(expiresAt, now);
    this.#ranks[rank].push(rank === 0 ? (expiresAt ?? 0) : dueAt, id);
  }

  /** Takes out what is to be claimed first; undefined where nothing is due. */
  takeFirst(now: number): number | undefined {
    const [living, , expired] = this.#ranks;
    while (living.size > 0 && dueRank(living.firstKey, now) !== 0) {
      const id = living.pop();
      expired.push(this.#dueAt[id] as number, id);
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
