/** Where there is no room, one of so many takes the place of the oldest. */
const ONE_OF = 16;

/**
 * A bounded number of things for which something costly is kept. Were each that comes let in, those that come by turns and are
 * more than there is room for would push one another out, and all that is made for them would be made for nothing.
 */
export class KeptFew<Thing> {
  /** In a circle: the next takes the place of the oldest. */
  readonly #kept: Thing[] = [];
  #next = 0;
  #offered = 0;

  /** @param letGo called with each that has to go */
  constructor(
    private readonly most: number,
    private readonly letGo: (thing: Thing) => void,
  ) {}

  /** Is something to be kept for this one? Then it is, until it has to go. */
  takes(thing: Thing): boolean {
    if (this.#kept.length === this.most) {
      this.#offered += 1;
      if (this.#offered % ONE_OF !== 0) return false;
    }
    const oldest = this.#kept[this.#next];
    if (oldest !== undefined) this.letGo(oldest);
    this.#kept[this.#next] = thing;
    this.#next = (this.#next + 1) % this.most;
    return true;
  }
}
