/** What a token endpoint may say about how long its token lives. */
export interface ExpiryFields {
  readonly expires_in?: unknown;
  readonly expires_at?: unknown;
}

export interface ReadExpiry {
  /** Seconds from the moment of sending; null: never expires. */
  readonly lifetimeSeconds: number | null;
  /** True where nothing usable came and the provider's configured lifetime stands in. */
  readonly assumed: boolean;
}

const TEN_YEARS_S = 315_360_000;
/** Below this a number is epoch seconds, above it milliseconds (1e11 seconds is the year 5138). */
const SECONDS_OR_MILLISECONDS = 1e11;
const SKEW_IGNORED_MS = 5_000;
const SKEW_BELIEVED_MS = 300_000;

/**
 * The one reader of expiry, for every dialect: `expires_in` as number or text, else `expires_at` as epoch seconds (a
 * fraction is fine), milliseconds, text of either, or ISO 8601. Whatever is missing, zero, negative or unreadable
 * becomes `fallbackSeconds`; more than ten years means never. The result is never NaN.
 *
 * @param sentAt wall-clock time right before the request was sent
 * @param providerDate the answer's `Date` header: an absolute time is judged by the provider's own clock, where that
 *   differs from ours by more than 5 s, and by at most 5 min
 */
export function readExpiry(
  fields: ExpiryFields,
  fallbackSeconds: number,
  sentAt: Date,
  providerDate: string | undefined,
): ReadExpiry {
  const relative = toNumber(fields.expires_in);
  const seconds = relative ?? secondsUntil(fields.expires_at, sentAt, providerDate);
  if (seconds === null || !(seconds > 0)) return { lifetimeSeconds: fallbackSeconds, assumed: true };
  return { lifetimeSeconds: seconds > TEN_YEARS_S ? null : seconds, assumed: false };
}

function secondsUntil(value: unknown, sentAt: Date, providerDate: string | undefined): number | null {
  const at = toEpochMs(value);
  return at === null ? null : (at - sentAt.getTime() - skewMs(sentAt, providerDate)) / 1_000;
}

function toEpochMs(value: unknown): number | null {
  const number = toNumber(value);
  if (number !== null) return Math.abs(number) < SECONDS_OR_MILLISECONDS ? number * 1_000 : number;
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}T/.test(value)) return null;
  // Without an offset a time would be read in the time zone of whatever machine this is.
  const parsed = Date.parse(/(Z|[+-]\d{2}:?\d{2})$/i.test(value) ? value : `${value}Z`);
  return Number.isNaN(parsed) ? null : parsed;
}

/** A finite number, or the text of one; null for everything else. */
function toNumber(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string' || !/^\s*[+-]?\d+(\.\d+)?\s*$/.test(value)) return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** How far the provider's clock is ahead of ours, as far as that is believed, in milliseconds. */
function skewMs(sentAt: Date, providerDate: string | undefined): number {
  const theirs = providerDate === undefined ? NaN : Date.parse(providerDate);
  if (Number.isNaN(theirs)) return 0;
  const skew = theirs - sentAt.getTime();
  if (Math.abs(skew) <= SKEW_IGNORED_MS) return 0;
  return Math.max(-SKEW_BELIEVED_MS, Math.min(SKEW_BELIEVED_MS, skew));
}
