/** A number from 0 up to, but not including, 1. */
export type Random = () => number;

/** A token is renewed at the latest this many seconds before it expires, so that an ordinary read never waits. */
export const LATEST_BEFORE_EXPIRY_S = 45;
/** Below this lifetime the last 45 s would be most of it, so another part is drawn. */
const SHORT_LIFETIME_S = 90;
const SHORT_BETWEEN = [0.3, 0.45] as const;

const FIRST_BACKOFF_S = 1;
const MOST_BACKOFF_S = 300;

/**
 * Seconds after its issue at which a token is to be renewed: a part of its lifetime, drawn once, so that tokens issued
 * together are not renewed together. Null for a token that never expires.
 */
export function renewAfter(
  lifetimeS: number | null,
  between: readonly [number, number],
  random: Random,
): number | null {
  if (lifetimeS === null) return null;
  const [from, to] = lifetimeS < SHORT_LIFETIME_S ? SHORT_BETWEEN : between;
  const drawn = lifetimeS * (from + (to - from) * random());
  return lifetimeS < SHORT_LIFETIME_S ? drawn : Math.min(drawn, lifetimeS - LATEST_BEFORE_EXPIRY_S);
}

/** Seconds until the next try after `failures` in a row (1 or more): full jitter below 1 s, doubling to 5 min. */
export function backoff(failures: number, random: Random): number {
  return random() * Math.min(MOST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** Math.min(failures - 1, 20));
}
