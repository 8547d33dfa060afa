/** The ways in which a provider may tell, or fail to tell, when a token expires. */
export const EXPIRY_STYLES = [
  'both',
  'expires_in',
  'expires_in_text',
  'expires_at_seconds',
  'expires_at_fraction',
  'expires_at_ms',
  'expires_at_text',
  'expires_at_iso',
  'missing',
  'zero',
  'negative',
  'huge',
  'unreadable',
] as const;
export type ExpiryStyle = (typeof EXPIRY_STYLES)[number];

/** Seconds; added to today's date it leaves the range of a JavaScript Date. */
const HUGE_LIFETIME = 10_000_000_000_000;

/**
 * The fields of a token answer that speak of its expiry.
 * @param now the provider's time, ms since the epoch
 * @param expiresAt ms since the epoch, on the same clock
 * @param offsetMs how far the provider's wall clock is wrong: it moves absolute times only
 */
export function tellExpiry(
  style: ExpiryStyle,
  now: number,
  expiresAt: number,
  offsetMs: number,
): Record<string, unknown> {
  // Rounded: the millisecond that a call takes must not turn 3600 into 3599.
  const left = Math.max(0, Math.round((expiresAt - now) / 1000));
  const at = expiresAt + offsetMs;
  switch (style) {
    case 'both':
      return { expires_in: left, expires_at: fractionalSeconds(at) };
    case 'expires_in':
      return { expires_in: left };
    case 'expires_in_text':
      return { expires_in: String(left) };
    case 'expires_at_seconds':
      return { expires_at: Math.floor(at / 1000) };
    case 'expires_at_fraction':
      return { expires_at: fractionalSeconds(at) };
    case 'expires_at_ms':
      return { expires_at: Math.floor(at) };
    case 'expires_at_text':
      return { expires_at: String(Math.floor(at / 1000)) };
    case 'expires_at_iso':
      return { expires_at: new Date(at).toISOString() };
    case 'missing':
      return {};
    case 'zero':
      return { expires_in: 0 };
    case 'negative':
      return { expires_in: -60 };
    case 'huge':
      return { expires_in: HUGE_LIFETIME };
    case 'unreadable':
      return { expires_in: 'soon', expires_at: 'after lunch' };
  }
}

/** Epoch seconds that never happen to be whole: a reader that expects an integer must notice at every call. */
function fractionalSeconds(ms: number): number {
  const whole = Math.floor(ms);
  return (whole % 1000 === 0 ? whole - 1 : whole) / 1000;
}
