import type { Clock } from '../shared/clock.js';
import { within } from '../shared/within.js';

/** How often something may be looked up, in milliseconds. */
export interface Sparing {
  readonly everyMs: number;
  /** What took long is looked up less often: it may take this part of the time, and no more. */
  readonly share: number;
  /** Never less often than this, however long it takes. */
  readonly atLeastEveryMs: number;
  /** An answer is good for so long after it could have been asked for again. */
  readonly keptMs: number;
}

/** Looks something up when it is wanted, but never twice at once and not too often; in between, the last answer stands. */
export class SparingLookup<T> {
  #running: Promise<void> | undefined;
  #answer: { readonly value: T; readonly until: number } | undefined;
  #notBefore = -Infinity;

  constructor(
    private readonly lookUp: () => Promise<T>,
    private readonly sparing: Sparing,
    private readonly clock: Clock,
  ) {}

  /** The newest answer, for which nobody waits longer than `patienceMs`; undefined where there is none, or it is too old. */
  async latest(patienceMs: number): Promise<T | undefined> {
    if (!this.#running && this.clock.monotonic() >= this.#notBefore) {
      this.#running = this.#ask().finally(() => (this.#running = undefined));
    }
    if (this.#running) await within(this.#running, patienceMs);
    return this.#answer && this.clock.monotonic() < this.#answer.until ? this.#answer.value : undefined;
  }

  /** A failure is no answer: the former one stands until it is too old. */
  async #ask(): Promise<void> {
    const { everyMs, share, atLeastEveryMs, keptMs } = this.sparing;
    const begun = this.clock.monotonic();
    const value = await this.lookUp().catch(() => undefined);
    const now = this.clock.monotonic();
    this.#notBefore = now + Math.min(atLeastEveryMs, Math.max(everyMs, (now - begun) / share));
    if (value !== undefined) this.#answer = { value, until: this.#notBefore + keptMs };
  }
}
