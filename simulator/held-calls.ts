import type { ServerResponse } from 'node:http';

export type EndOfHold = 'released' | 'abandoned';

/** Calls that a fault keeps waiting until the test lets them go. */
export class HeldCalls {
  private readonly waiting = new Set<(end: EndOfHold) => void>();

  get count(): number {
    return this.waiting.size;
  }

  /**
   * Resolves with `released` after a release, with `abandoned` when the simulator is reset or closed, or, where
   * `caller` is given, when that caller hangs up.
   */
  wait(caller?: ServerResponse): Promise<EndOfHold> {
    return new Promise((resolve) => {
      const end = (how: EndOfHold): void => {
        this.waiting.delete(end);
        resolve(how);
      };
      this.waiting.add(end);
      caller?.once('close', () => end('abandoned'));
      if (caller?.destroyed) end('abandoned');
    });
  }

  /** Lets every call go on; returns how many there were. */
  release(): number {
    return this.endAll('released');
  }

  /** Closes every call without an answer. */
  abandon(): number {
    return this.endAll('abandoned');
  }

  private endAll(how: EndOfHold): number {
    const ends = [...this.waiting];
    for (const end of ends) end(how);
    return ends.length;
  }
}
