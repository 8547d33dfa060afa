/** What one minute looked like. */
export interface Minute {
  /** Seconds since the beginning at which it ended. */
  readonly at: number;
  readonly calls: number;
  /** The most calls that began in any second that ended in it. */
  readonly peak: number;
  /** Connections that were due and not being renewed. */
  readonly backlog: number;
  /** Connections without a token that lives. */
  readonly expired: number;
}

/** Counts calls as they begin: in every sliding second, and by the minute. */
export class Gauge {
  readonly minutes: Minute[] = [];
  readonly #latest: Float64Array;
  #calls = 0;
  #callsBefore = 0;
  #oldest = 0;
  #peak = 0;

  /** @param most calls in one second that can be told apart; more are counted as this many */
  constructor(most: number) {
    this.#latest = new Float64Array(most);
  }

  get calls(): number {
    return this.#calls;
  }

  /** The most calls that began within any half-open second, wherever that begins. */
  get peak(): number {
    return this.minutes.reduce((most, { peak }) => Math.max(most, peak), this.#peak);
  }

  /** A call begins now. */
  call(now: number): void {
    this.#latest[this.#calls % this.#latest.length] = now;
    this.#calls += 1;
    this.#oldest = Math.max(this.#oldest, this.#calls - this.#latest.length);
    while ((this.#latest[this.#oldest % this.#latest.length] as number) <= now - 1) this.#oldest += 1;
    this.#peak = Math.max(this.#peak, this.#calls - this.#oldest);
  }

  endMinute(at: number, backlog: number, expired: number): Minute {
    const minute = { at, calls: this.#calls - this.#callsBefore, peak: this.#peak, backlog, expired };
    this.minutes.push(minute);
    this.#callsBefore = this.#calls;
    this.#peak = 0;
    return minute;
  }
}
