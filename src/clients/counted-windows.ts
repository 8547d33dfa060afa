import { LRUCache } from 'lru-cache';
import type { Clock } from '../shared/clock.js';
import type { Policy } from './rate-limit.js';

/** Names that are remembered: some 2 MB. */
export const MOST_NAMES = 10_000;

/**
 * How many came by each name, in windows of time that begin with the first. In this process, and without waiting: every
 * request passes here. Where there are too many names, those that were quiet the longest begin anew.
 */
export class CountedWindows {
  readonly #windows: LRUCache<string, { used: number }>;

  constructor(
    private readonly policy: Omit<Policy, 'name'>,
    clock: Clock,
  ) {
    this.#windows = new LRUCache({
      max: MOST_NAMES,
      ttl: policy.windowS * 1_000,
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    });
  }

  /** Counts one; false where that is one too many, which is not counted. */
  take(name: string): boolean {
    const window = this.#windows.get(name);
    if (window === undefined) this.#windows.set(name, { used: 1 });
    else if (window.used >= this.policy.quota) return false;
    else window.used += 1;
    return true;
  }

  /** As if one had not been counted. */
  giveBack(name: string): void {
    const window = this.#windows.get(name);
    if (window && window.used > 0) window.used -= 1;
  }

  /** How many more there may be. */
  left(name: string): number {
    return this.policy.quota - (this.#windows.get(name)?.used ?? 0);
  }

  /** Milliseconds until the window is over. */
  endsIn(name: string): number {
    return this.#windows.getRemainingTTL(name);
  }

  /** How many names are remembered. */
  get size(): number {
    return this.#windows.size;
  }
}
