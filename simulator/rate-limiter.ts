import type { SimulatorClock } from './clock.js';

/** A bucket that holds `burst` calls and gets `per_second` back. */
export interface RateLimit {
  readonly per_second: number;
  readonly burst: number;
}

/** Counts a provider's calls against the limit that its settings name; a new limit starts with a full bucket. */
export class RateLimiter {
  private limit: RateLimit | null = null;
  private left = 0;
  private filledAt = 0;

  constructor(private readonly clock: SimulatorClock) {}

  /** Takes one call. Null, or how many whole seconds a caller who is turned away does well to wait. */
  take(limit: RateLimit | null): number | null {
    if (limit === null) return null;
    this.fill(limit);
    if (this.left < 1) return Math.ceil((1 - this.left) / limit.per_second);
    this.left -= 1;
    return null;
  }

  private fill(limit: RateLimit): void {
    const now = this.clock.now();
    // A reset moves the clock back: that takes nothing out of the bucket.
    const gained = (Math.max(0, now - this.filledAt) / 1000) * limit.per_second;
    this.left = limit === this.limit ? Math.min(limit.burst, this.left + gained) : limit.burst;
    this.limit = limit;
    this.filledAt = now;
  }
}
