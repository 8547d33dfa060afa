import { performance } from 'node:perf_hooks';

/**
 * Time, injected, so that tests own it. Tokens, leases and the calendar live by the database's clock
 * (`broker_now()` in the migrations), which all replicas share; this one is for what never leaves a process
 * or outlives ten minutes.
 */
export class Clock {
  /** Wall-clock time. */
  now(): Date {
    return new Date(this.nowMs());
  }

  /** The same in milliseconds: a Date for each read of a token would cost more than a hundredth of it. */
  nowMs(): number {
    return Date.now();
  }

  /** Milliseconds that only ever grow, also when the wall clock is set; they go on while the process is stopped. */
  monotonic(): number {
    return performance.now();
  }
}
