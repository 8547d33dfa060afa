import { Injectable } from '@nestjs/common';

/** What one actor may take of the room: whoever causes many different events is refused before all others are. */
const SHARE = 1 / 4;

/** How many events may wait that were never written: about 30 MB. */
@Injectable()
export class BufferBound {
  rows = 50_000;
  #waiting = 0;
  readonly #waitingOf = new Map<string, number>();

  /** Events that wait to be written for the first time. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Is there room for one more of this actor? `admin` is one like any other; `broker` and `seller` write with their changes. */
  hasRoomFor(actorId: string): boolean {
    return this.#waiting < this.rows && (this.#waitingOf.get(actorId) ?? 0) < this.rows * SHARE;
  }

  take(actorId: string): void {
    this.#waiting += 1;
    this.#waitingOf.set(actorId, (this.#waitingOf.get(actorId) ?? 0) + 1);
  }

  giveBack(actorId: string): void {
    this.#waiting -= 1;
    const left = (this.#waitingOf.get(actorId) ?? 0) - 1;
    if (left > 0) this.#waitingOf.set(actorId, left);
    else this.#waitingOf.delete(actorId);
  }
}
