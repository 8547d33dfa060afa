/** Told while a start waits for something that may come by itself. */
export class StartWatch {
  #hasWaited = false;

  /** @param onWait may throw what ends the start */
  constructor(private readonly onWait: (why: string) => Promise<void> = () => Promise.resolve()) {}

  /** @param why what it waits for, for people; never a secret */
  waitsFor(why: string): Promise<void> {
    this.#hasWaited = true;
    return this.onWait(why);
  }

  get hasWaited(): boolean {
    return this.#hasWaited;
  }
}
