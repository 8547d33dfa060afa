/** The one clock of the simulator: real time, plus what a test has moved it forward. */
export class SimulatorClock {
  private aheadMs = 0;

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.aheadMs;
  }

  /** Moves the clock forward, so that tokens and codes age without waiting. Seconds. */
  advance(seconds: number): void {
    this.aheadMs += seconds * 1000;
  }

  /** Back to real time. */
  reset(): void {
    this.aheadMs = 0;
  }
}
