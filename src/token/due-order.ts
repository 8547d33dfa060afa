/** What the order of claims looks at. Times are of one clock, in any one unit. */
export interface Due {
  readonly id: string;
  /** Null: no token yet, or one that never expires. */
  readonly expiresAt: number | null;
  /** Since when it is due: by the calendar, or at the end of its last backoff. */
  readonly dueAt: number;
}

/** The living come first, then what has no end, then the expired. */
export type DueRank = 0 | 1 | 2;

/** A token that has not expired can still be saved; one that has will be no more expired in a minute. */
export function dueRank(expiresAt: number | null, now: number): DueRank {
  if (expiresAt === null) return 1;
  return expiresAt > now ? 0 : 2;
}

/**
 * The order in which the schedule claims what is due, where it may not claim all of it: a token that still lives before
 * any that does not, the soonest to expire first, so that a backlog costs no token that its provider's cap could save; then
 * connections that have no token yet or one that never expires; then the expired. Where nothing is left to be saved, who has
 * waited longest is first: by their expiry those would be first that can never be renewed, again and again, and after
 * an outage the company of which every call times out would keep everybody else waiting. Equal ones by id, so that the order is
 * total. Pure, and the same as the claim's SQL, which looks for the living among the 10,000 that expire soonest.
 */
export function compareDue(a: Due, b: Due, now: number): number {
  const rank = dueRank(a.expiresAt, now);
  const byRank = rank - dueRank(b.expiresAt, now);
  if (byRank !== 0) return byRank;
  const byTime = rank === 0 ? (a.expiresAt ?? 0) - (b.expiresAt ?? 0) : a.dueAt - b.dueAt;
  if (byTime !== 0) return byTime;
  return a.id < b.id ? -1 : Number(a.id > b.id);
}
