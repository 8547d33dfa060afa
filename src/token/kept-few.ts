/** Where there is no room, one of so many takes the place of the oldest. */
const ONE_OF = 16;

/**
 * A bounded number of things for which something costly is kept. Were each that comes let in, those that come by turns and are
 * more than there is room for would push one another out, and all that is made for them would be made for nothing.
 */
export class KeptFew<Thing> {
  /** The oldest first. */
  readonly #kept = new Set<Thing>();
  #offered = 0;

  /** @param letGo called with each that has to go for another */
  constructor(
    private readonly most: number,
    private readonly letGo: (thing: Thing) => void,
  ) {}

  /** Is something to be kept for this one? Then it is, until it has to go. */
  takes(thing: Thing): boolean {
    if (this.#kept.size === this.most) {
      this.#offered += 1;
      if (this.#offered % ONE_OF !== 0) return false;
      for (const oldest of this.#kept) {
        this.#kept.delete(oldest);
        this.letGo(oldest);
        break;
      }
    }
    this.#kept.add(thing);
    return true;
  }

  /** Nothing is kept for this one any more: there is room for another. */
  drop(thing: Thing): void {
    this.#kept.delete(thing);
  }
}
