import type { Random } from '../token/calendar.js';

/** What came of telling somebody something: our codes, and never a text of theirs. */
export type DeliveryError =
  | 'private_address'
  | 'not_reached'
  | 'timed_out'
  | 'connection_lost'
  | 'redirected'
  | 'gone'
  | 'rate_limited'
  | 'unavailable'
  | 'refused';

/** The whole of an answer that counts: the rest is not read. */
export interface Attempted {
  /** Null: it was taken. */
  readonly error: DeliveryError | null;
  /** Null where there was no answer. */
  readonly status: number | null;
  readonly retryAfterS: number | null;
}

/** How long an event is tried, in seconds: 3 days from its first try on, or its first since it is sent again. */
export const GIVE_UP_AFTER_S = 3 * 86_400;

/** Seconds before the next try of an event, after its first, second … failure, at most; then the last of these. */
const PAUSES_S = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400] as const;
/** A tenth of that at least, or a draw near 0 would waste a try. */
const LEAST_PART = 0.1;

/** Errors that are about the way there and not about this event: once another gets through, it is worth trying again at once. */
export const WAY_ERRORS: readonly DeliveryError[] = [
  'private_address',
  'not_reached',
  'timed_out',
  'connection_lost',
  'rate_limited',
  'unavailable',
];

/** Any 2xx takes it. Nothing is followed, and 410 says that nobody wants to be told any more. */
export function judge(status: number): DeliveryError | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 300 && status < 400) return 'redirected';
  if (status === 410) return 'gone';
  if (status === 429) return 'rate_limited';
  return status >= 502 && status <= 504 ? 'unavailable' : 'refused';
}

/** Seconds until an event is tried again after `attempts` (1 or more): full jitter, and never before it was asked to be. */
export function pauseAfter(attempts: number, retryAfterS: number | null, random: Random): number {
  const most = PAUSES_S[Math.min(attempts, PAUSES_S.length) - 1] ?? 5;
  return Math.max(most * (LEAST_PART + (1 - LEAST_PART) * random()), retryAfterS ?? 0);
}
