const FIRST_ROOM = 1_024;

/**
 * A binary heap of small integers, the one with the lowest key first, and of equal keys the lowest integer. In typed arrays: a
 * million entries take 12 MB, and nothing for the garbage collector to walk.
 */
export class Heap {
  #keys = new Float64Array(FIRST_ROOM);
  #ids = new Int32Array(FIRST_ROOM);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Infinity where it is empty. */
  get firstKey(): number {
    return this.#size > 0 ? this.#key(0) : Infinity;
  }

  push(key: number, id: number): void {
    if (this.#size === this.#ids.length) this.#grow();
    this.#size += 1;
    this.#rise(this.#size - 1, key, id);
  }

  /** Takes out the first; must not be empty. */
  pop(): number {
    return this.takeAt(0);
  }

  /** Takes out whatever lies at `place`, from 0 up to `size`. */
  takeAt(place: number): number {
    const taken = this.#id(place);
    this.#size -= 1;
    if (place < this.#size) {
      const [key, id] = [this.#key(this.#size), this.#id(this.#size)];
      this.#rise(this.#sink(place, key, id), key, id);
    }
    return taken;
  }

  /** Puts it at `place` or above, whatever is greater a step down. */
  #rise(place: number, key: number, id: number): void {
    let at = place;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(key, id, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#keys[at] = key;
    this.#ids[at] = id;
  }

  /** Makes a hole at `place` wander down to where this would lie; to where that is. */
  #sink(place: number, key: number, id: number): number {
    let at = place;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) return at;
      if (child + 1 < this.#size && this.#isBefore(this.#key(child + 1), this.#id(child + 1), child))
        child += 1;
      if (this.#isBefore(key, id, child)) return at;
      this.#move(child, at);
      at = child;
    }
  }

  #isBefore(key: number, id: number, place: number): boolean {
    const other = this.#key(place);
    return key < other || (key === other && id < this.#id(place));
  }

  #move(from: number, to: number): void {
    this.#keys[to] = this.#key(from);
    this.#ids[to] = this.#id(from);
  }

  #key(place: number): number {
    return this.#keys[place] as number;
  }

  #id(place: number): number {
    return this.#ids[place] as number;
  }

  #grow(): void {
    const [keys, ids] = [this.#keys, this.#ids];
    this.#keys = new Float64Array(2 * keys.length);
    this.#ids = new Int32Array(2 * ids.length);
    this.#keys.set(keys);
    this.#ids.set(ids);
  }
}
