/** What a provider's settings allow all replicas together. */
export interface Caps {
  readonly ratePerSecond: number;
  /** Calls in flight. */
  readonly concurrency: number;
}

/**
 * Whom a call is for: a token that is due, somebody who waits for one, or a consent or a credential that anybody may
 * bring and that only the provider can judge.
 */
export type Purpose = 'calendar' | 'caller' | 'exchange';

/** How fast a provider is being asked. Times are seconds on the database's clock. */
export interface Pace {
  /** When there last was nothing left, of all calls, of those that nobody waits for, and of exchanges. */
  readonly emptyAt: number;
  readonly ordinaryEmptyAt: number;
  readonly exchangeEmptyAt: number;
  /** Calls that may be in flight: one at first, doubling with each that works. */
  readonly window: number;
  /** Failures of the way there since it last worked, of one connection after another. */
  readonly failures: number;
  /** Nobody may ask before. */
  readonly closedUntil: number;
}

/** What may begin now; where that is nothing, `waitS` is how soon it is worth asking again. */
export interface Room {
  readonly calls: number;
  readonly waitS: number;
}

/** Refilled steadily, full at `depth`: so never more than the cap begins within any second. */
interface Bucket {
  readonly depth: number;
  readonly perSecond: number;
}

/** A fifth of the rate and of the calls in flight is kept for callers who wait. */
export const ORDINARY_PART = 0.8;
/** Anybody can bring a made-up code, and must not hold up what is due. */
export const EXCHANGE_PART = 0.2;
/** The bucket holds this part of a second's calls, so that a fast provider is not asked in steps of one. */
const DEPTH_S = 0.02;
/** Failures in a row after which a provider is left alone, and for how many seconds at first and at most. */
export const FAILURES_TO_CLOSE = 5;
export const FIRST_CLOSED_S = 1;
export const MOST_CLOSED_S = 60;
/** After a 429 that does not say how long. */
export const RATE_LIMITED_S = 5;
/** Seconds between two probes of a misconfigured provider: at most two calls each, so at most four a minute. */
export const PROBE_EVERY_S = 30;
/** Concurrency is freed by answers, which nobody can foretell. */
const LOOK_AGAIN_S = 0.25;

/** A provider that was never asked, or not since a pause. */
export const FRESH_PACE: Pace = {
  emptyAt: 0,
  ordinaryEmptyAt: 0,
  exchangeEmptyAt: 0,
  window: 1,
  failures: 0,
  closedUntil: 0,
};

/**
 * The buckets of a cap. With a depth of d and a refill of (rate - d + 1) a second, no second holds more than `rate` calls,
 * wherever it begins.
 */
export function bucketsOf({ ratePerSecond }: Caps): { all: Bucket; ordinary: Bucket; exchange: Bucket } {
  const depth = Math.max(1, Math.floor(ratePerSecond * DEPTH_S));
  const perSecond = ratePerSecond - depth + 1;
  const part = (share: number): Bucket => ({
    depth: Math.max(1, Math.floor(depth * share)),
    perSecond: perSecond * share,
  });
  return { all: { depth, perSecond }, ordinary: part(ORDINARY_PART), exchange: part(EXCHANGE_PART) };
}

/** Calls that may begin now for this purpose while `inFlight` are out, over all replicas. Pure, and the same as the claim's SQL. */
export function roomFor(pace: Pace, caps: Caps, purpose: Purpose, inFlight: number, now: number): Room {
  if (pace.closedUntil > now) return { calls: 0, waitS: pace.closedUntil - now };
  const credits = drawnFrom(purpose).map((name) => credit(pace[FIELDS[name]], bucketsOf(caps)[name], now));
  const slots = slotsOf(pace, caps, purpose) - inFlight;
  const calls = Math.max(0, Math.min(slots, ...credits.map(({ calls }) => calls)));
  if (calls > 0) return { calls, waitS: 0 };
  return { calls, waitS: slots <= 0 ? LOOK_AGAIN_S : Math.max(...credits.map(({ waitS }) => waitS)) };
}

/** The pace once this many calls have begun. */
export function afterTaking(pace: Pace, caps: Caps, purpose: Purpose, calls: number, now: number): Pace {
  const buckets = bucketsOf(caps);
  const changes = drawnFrom(purpose).map((name) => {
    const { depth, perSecond } = buckets[name];
    const from = Math.max(Math.min(pace[FIELDS[name]], now), now - depth / perSecond);
    return [FIELDS[name], from + calls / perSecond];
  });
  return { ...pace, ...(Object.fromEntries(changes) as Partial<Pace>) };
}

/** The pace once a call has worked: a token, or a verdict on a grant. */
export function afterWorking(pace: Pace, caps: Caps, now: number): Pace {
  const window = pace.closedUntil > now ? pace.window : Math.min(caps.concurrency, pace.window * 2);
  return { ...pace, window, failures: 0 };
}

/**
 * The pace once the way there has failed for another connection than the last time. What was under way when the provider was
 * closed does not close it further. `drawn` is from 0 up to 1.
 */
export function afterFailing(pace: Pace, now: number, drawn: number): Pace {
  if (pace.closedUntil > now) return pace;
  const failures = pace.failures + 1;
  if (failures < FAILURES_TO_CLOSE) return { ...pace, failures };
  const closedS = Math.min(MOST_CLOSED_S, FIRST_CLOSED_S * 2 ** Math.min(failures - FAILURES_TO_CLOSE, 20));
  return { ...pace, failures, window: 1, closedUntil: now + closedS * (0.5 + drawn / 2) };
}

/** The pace once the provider has said that it is asked too often. */
export function afterRateLimit(pace: Pace, retryAfterS: number | null, now: number): Pace {
  const closedS = Math.max(1, retryAfterS ?? RATE_LIMITED_S);
  return { ...pace, window: 1, closedUntil: Math.max(pace.closedUntil, now + closedS) };
}

const FIELDS = { all: 'emptyAt', ordinary: 'ordinaryEmptyAt', exchange: 'exchangeEmptyAt' } as const;

/** Which buckets a call is taken from. */
function drawnFrom(purpose: Purpose): readonly (keyof typeof FIELDS)[] {
  if (purpose === 'caller') return ['all'];
  return purpose === 'calendar' ? ['all', 'ordinary'] : ['all', 'ordinary', 'exchange'];
}

function slotsOf(pace: Pace, { concurrency }: Caps, purpose: Purpose): number {
  const window = Math.min(pace.window, concurrency);
  return purpose === 'caller' ? window : Math.max(1, Math.floor(window * ORDINARY_PART));
}

/** A clock that was set back makes nobody wait: it is as if all had been taken just now. */
function credit(
  emptyAt: number,
  { depth, perSecond }: Bucket,
  now: number,
): { calls: number; waitS: number } {
  const held = Math.min(depth, (now - Math.min(emptyAt, now)) * perSecond);
  // A whole call may be short of one by what a double cannot hold.
  return { calls: Math.floor(held + 1e-6), waitS: Math.max(0, 1 - held) / perSecond };
}
