/**
 * What was made in this turn of the event loop, for whoever else wants the same in it. Nothing of it is kept when the turn is
 * over.
 */
export class ThisTurn<Key, Made> {
  readonly #made = new Map<Key, Made>();

  of(key: Key, make: () => Made): Made {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = make();
    if (this.#made.size === 0) setImmediate(() => this.#made.clear());
    this.#made.set(key, made);
    return made;
  }
}
