import { Clock } from '../../src/shared/clock.js';

/** A clock that tests move. */
export class TestClock extends Clock {
  #aheadMs = 0;

  override nowMs(): number {
    return Date.now() + this.#aheadMs;
  }

  override monotonic(): number {
    return performance.now() + this.#aheadMs;
  }

  advance(seconds: number): void {
    this.#aheadMs += seconds * 1_000;
  }
}
