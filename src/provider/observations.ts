import { Injectable } from '@nestjs/common';
import { Clock } from '../shared/clock.js';
import type { FailureCode, IssuedToken, Outcome } from './token-provider.js';

/** What a provider was seen to do since somebody last asked for the news. What is absent was not seen. */
export interface ProviderNews {
  readonly provider: string;
  /** `none`: the same refresh token went on working; `rotating`: a new one came. */
  readonly rotation?: 'none' | 'rotating';
  /** Seconds that the last token lived which told so; null: for ever. */
  readonly lifetimeS?: number | null;
  /** Whole seconds, theirs minus ours. */
  readonly clockSkewS?: number;
  /** The last failure of the way there or of our registration. */
  readonly error?: { readonly code: FailureCode; readonly at: number };
  /** When the way there last worked. Like every `at`, monotonic milliseconds. */
  readonly workedAt?: number;
}

/** How many renewals worked and how many did not since somebody last asked. */
export interface RenewalCount {
  readonly provider: string;
  readonly renewed: number;
  readonly failed: number;
}

/** An HTTP date as every server writes it now (RFC 9110 5.6.7); a loose parser would read a year into any number. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
/** The header names a second, on average this much after it began. */
const HALF_A_SECOND_MS = 500;

/** Failures that say nothing of a provider: it was not asked, or the mistake is ours. */
const OURS: ReadonlySet<FailureCode> = new Set([
  'lease_ran_out',
  'grant_unreadable',
  'internal_error',
  'no_refresh_token',
]);

/**
 * What each provider was seen to do, gathered in memory: one entry a provider, however much happens. Whoever writes it
 * down takes the news from time to time, so that no renewal waits for a row that all of them would want.
 */
@Injectable()
export class ProviderObservations {
  #news = new Map<string, ProviderNews>();
  #counts = new Map<string, RenewalCount>();

  constructor(private readonly clock: Clock) {}

  /** What a renewal came to. A verdict on a grant means that the way there works, like a token. */
  renewalSettled(provider: string, outcome: Outcome): void {
    const at = this.clock.monotonic();
    const isRenewed = outcome.kind === 'issued';
    this.giveBackCount({ provider, renewed: isRenewed ? 1 : 0, failed: isRenewed ? 0 : 1 });
    if (isRenewed) this.#add({ provider, workedAt: at, ...shownBy(outcome.token) });
    else if (OURS.has(outcome.code)) return;
    else if (outcome.kind === 'unavailable' || outcome.kind === 'misconfigured')
      this.#add({ provider, error: { code: outcome.code, at } });
    else this.#add({ provider, workedAt: at });
  }

  /**
   * An answer came, with this `Date` header. Half the round trip is taken for the way back.
   *
   * @param roundTripMs from `sentAt` until the answer was there
   * @returns their clock minus ours in whole seconds; undefined where the header tells no time
   */
  answered(
    provider: string,
    date: string | undefined,
    sentAt: Date,
    roundTripMs: number,
  ): number | undefined {
    const theirs = date !== undefined && HTTP_DATE.test(date) ? Date.parse(date) : NaN;
    if (Number.isNaN(theirs)) return undefined;
    const ours = sentAt.getTime() + roundTripMs / 2;
    // Without the sum a small negative skew would be told as -0.
    const clockSkewS = Math.round((theirs + HALF_A_SECOND_MS - ours) / 1_000) + 0;
    this.#add({ provider, clockSkewS });
    return clockSkewS;
  }

  /** The news of every provider that has any, and from here on they are none. */
  take(): ProviderNews[] {
    const news = [...this.#news.values()];
    this.#news = new Map();
    return news;
  }

  /** What was counted of every provider since the last time, and counting begins anew. */
  takeCounts(): RenewalCount[] {
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    return counts;
  }

  /** Adds to what is counted; also what could not be written down. */
  giveBackCount({ provider, renewed, failed }: RenewalCount): void {
    const so = this.#counts.get(provider);
    this.#counts.set(provider, {
      provider,
      renewed: renewed + (so?.renewed ?? 0),
      failed: failed + (so?.failed ?? 0),
    });
  }

  /** Gives back news that could not be written down; what was seen meanwhile is newer. */
  giveBack(news: ProviderNews): void {
    this.#news.set(news.provider, { ...news, ...this.#news.get(news.provider) });
  }

  #add(news: ProviderNews): void {
    this.#news.set(news.provider, { ...this.#news.get(news.provider), ...news });
  }
}

function shownBy(token: IssuedToken): Pick<ProviderNews, 'rotation' | 'lifetimeS'> {
  const { refreshTokenKept, lifetimeAssumed, lifetimeSeconds } = token;
  return {
    ...(refreshTokenKept === null ? {} : { rotation: refreshTokenKept ? 'none' : 'rotating' }),
    ...(lifetimeAssumed ? {} : { lifetimeS: lifetimeSeconds && Math.round(lifetimeSeconds) }),
  };
}
