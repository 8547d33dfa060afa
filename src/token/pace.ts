/** What a provider's settings allow all replicas together. */
export interface Caps {
  readonly ratePerSecond: number;
  /** Calls in flight. */
  readonly concurrency: number;
}

/**
 * Whom a call is for: a token that is due, somebody who waits for one, a credential that an operator offers, or a consent
 * that anybody may come back from and that only the provider can judge.
 */
export type Purpose = 'calendar' | 'caller' | 'proof' | 'exchange';

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
/** The bucket holds this part of a second, so that little is lost when somebody comes late to take from it. */
const DEPTH_S = 0.1;
/** Failures in a row after which a provider is left alone, and for how many seconds at first and at most. */
export const FAILURES_TO_CLOSE = 5;
export const FIRST_CLOSED_S = 1;
export const MOST_CLOSED_S = 60;
/** After a 429 that does not say how long, and at most, whatever it says. */
export const RATE_LIMITED_S = 5;
export const MOST_RATE_LIMITED_S = 900;
/** Part of the refill that is given away, so that times that are rounded to a microsecond never add up to one call more. */
const ROUNDING = 0.001;
/** Seconds by which statements may overtake each other; a bucket that is emptied later than this was on another clock. */
export const MOST_DISORDER_S = 1;
/** Seconds between two probes of a misconfigured provider: at most two calls each, so at most four a minute. */
export const PROBE_EVERY_S = 30;
/** Concurrency is freed by answers, which nobody can foretell. */
const LOOK_AGAIN_S = 0.25;

/** A provider that was never asked. */
export const FRESH_PACE: Pace = {
  emptyAt: 0,
  ordinaryEmptyAt: 0,
  exchangeEmptyAt: 0,
  window: 1,
  failures: 0,
  closedUntil: 0,
};

/**
 * The buckets of a cap. With a depth of d and a refill of just under (rate - d + 1) a second, no second holds more than
 * `rate` calls, wherever it begins.
 */
export function bucketsOf({ ratePerSecond }: Caps): { all: Bucket; ordinary: Bucket; exchange: Bucket } {
  const depth = Math.max(1, Math.floor(ratePerSecond * DEPTH_S));
  const perSecond = (ratePerSecond - depth + 1) * (1 - ROUNDING);
  const part = (share: number): Bucket => ({
    depth: Math.max(1, Math.floor(depth * share)),
    perSecond: perSecond * share,
  });
  return { all: { depth, perSecond }, ordinary: part(ORDINARY_PART), exchange: part(EXCHANGE_PART) };
}

/** Calls that are in flight, over all replicas. */
export interface InFlight {
  readonly renewals: number;
  /** Consents and credentials. */
  readonly exchanges: number;
}

/** Calls that may begin now for this purpose while those are out. Pure, and the same as the claim's SQL. */
export function roomFor(pace: Pace, caps: Caps, purpose: Purpose, inFlight: InFlight, now: number): Room {
  const closedUntil = believable(pace.closedUntil, now);
  if (closedUntil > now) return { calls: 0, waitS: closedUntil - now };
  const credits = drawnFrom(purpose).map((name) => credit(pace[FIELDS[name]], bucketsOf(caps)[name], now));
  const slots = slotsFor(pace, caps, purpose, inFlight);
  const most = isProbed(pace) && !isBrought(purpose) ? 1 : Infinity;
  const calls = Math.max(0, Math.min(most, slots, ...credits.map(({ calls }) => calls)));
  if (calls > 0) return { calls, waitS: 0 };
  return { calls, waitS: slots <= 0 ? LOOK_AGAIN_S : Math.max(...credits.map(({ waitS }) => waitS)) };
}

/** Unreachable for so long that one call at a time, for any connection, has to show whether it still is. */
export function isProbed({ failures }: Pace): boolean {
  return failures >= FAILURES_TO_CLOSE;
}

/** The pace once this many calls have begun. */
export function afterTaking(pace: Pace, caps: Caps, purpose: Purpose, calls: number, now: number): Pace {
  const buckets = bucketsOf(caps);
  const changes = drawnFrom(purpose).map((name) => {
    const { depth, perSecond } = buckets[name];
    const from = Math.max(emptiedAt(pace[FIELDS[name]], now), now - depth / perSecond);
    return [FIELDS[name], from + calls / perSecond];
  });
  return { ...pace, ...(Object.fromEntries(changes) as Partial<Pace>) };
}

/**
 * The pace once a call that began at `begunAt` has worked: a token, or a verdict on a grant. What was under way when the
 * provider was closed says that the way works, but not how much it can take since.
 */
export function afterWorking(pace: Pace, caps: Caps, begunAt: number, now: number): Pace {
  const isStraggler = believable(pace.closedUntil, now) > begunAt;
  const window = isStraggler ? pace.window : Math.min(caps.concurrency, pace.window * 2);
  return { ...pace, window, failures: 0 };
}

/**
 * The pace once the way there has failed, for another connection than the last time, in a call that began at `begunAt`. Nothing
 * begins while a provider is closed: what began before the end of that was under way already, and closes it no further
 * however late it fails. `drawn` is from 0 up to 1.
 */
export function afterFailing(pace: Pace, begunAt: number, now: number, drawn: number): Pace {
  if (believable(pace.closedUntil, now) > begunAt) return pace;
  const failures = pace.failures + 1;
  if (failures < FAILURES_TO_CLOSE) return { ...pace, failures };
  const closedS = Math.min(MOST_CLOSED_S, FIRST_CLOSED_S * 2 ** Math.min(failures - FAILURES_TO_CLOSE, 20));
  return { ...pace, failures, window: 1, closedUntil: now + closedS * (0.5 + drawn / 2) };
}

/** The pace once the provider has said that it is asked too often. */
export function afterRateLimit(pace: Pace, retryAfterS: number | null, now: number): Pace {
  const closedUntil = now + rateLimitedSeconds(retryAfterS);
  return { ...pace, window: 1, closedUntil: Math.max(believable(pace.closedUntil, now), closedUntil) };
}

/** How long a provider is left alone that has said that it is asked too often, and perhaps for how long. */
export function rateLimitedSeconds(retryAfterS: number | null): number {
  return Math.min(MOST_RATE_LIMITED_S, Math.max(1, retryAfterS ?? RATE_LIMITED_S));
}

const FIELDS = { all: 'emptyAt', ordinary: 'ordinaryEmptyAt', exchange: 'exchangeEmptyAt' } as const;

/** Which buckets a call is taken from. */
function drawnFrom(purpose: Purpose): readonly (keyof typeof FIELDS)[] {
  if (purpose === 'caller') return ['all'];
  return purpose === 'exchange' ? ['all', 'ordinary', 'exchange'] : ['all', 'ordinary'];
}

/** What a person brings is one call, and no storm: it does not wait until the provider has shown that it works. */
export function isBrought(purpose: Purpose): boolean {
  return purpose === 'proof' || purpose === 'exchange';
}

/** Consents have a few places of their own: whoever makes codes up that are slowly refused must not hold those of what is due. */
function slotsFor(
  { window }: Pace,
  { concurrency }: Caps,
  purpose: Purpose,
  { renewals, exchanges }: InFlight,
): number {
  const places = Math.min(window, concurrency);
  const part = (of: number, share: number): number => Math.max(1, Math.floor(of * share));
  const left = concurrency - renewals - exchanges;
  const ordinary = part(concurrency, ORDINARY_PART);
  switch (purpose) {
    case 'caller':
      return Math.min(left, places - renewals);
    case 'calendar':
      // Beside consents there is a place for what is due, however few there are in all.
      return Math.min(
        left,
        Math.max(1, ordinary - exchanges) - renewals,
        part(places, ORDINARY_PART) - renewals,
      );
    case 'proof':
      return ordinary - renewals - exchanges;
    case 'exchange':
      return Math.min(left, part(concurrency, EXCHANGE_PART) - exchanges);
  }
}

/** Nothing is closed for longer than this: a time beyond it is from before the clock was set back. */
function believable(closedUntil: number, now: number): number {
  return closedUntil > now + MOST_RATE_LIMITED_S ? 0 : closedUntil;
}

/** When there last was nothing left. Where the clock was set back since, that would hold everybody up: it is forgotten. */
function emptiedAt(emptyAt: number, now: number): number {
  return emptyAt > now + MOST_DISORDER_S ? 0 : Math.min(emptyAt, now);
}

function credit(
  emptyAt: number,
  { depth, perSecond }: Bucket,
  now: number,
): { calls: number; waitS: number } {
  const held = Math.min(depth, (now - emptiedAt(emptyAt, now)) * perSecond);
  // A whole call may be short of one by what a double cannot hold.
  return { calls: Math.floor(held + 1e-6), waitS: Math.max(0, 1 - held) / perSecond };
}
