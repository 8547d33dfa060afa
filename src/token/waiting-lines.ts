/**
 * Those who wait for the same thing, one after the other: the first asks for it until it has it or gives up, and all others stand
 * behind. If each asked for itself, most would ask in vain, and all the time.
 */
export class WaitingLines {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Does this work once all that came before it is done. */
  async join<T>(line: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(line) ?? Promise.resolve()).then(work);
    const last = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(line, last);
    try {
      return await turn;
    } finally {
      if (this.#last.get(line) === last) this.#last.delete(line);
    }
  }
}
