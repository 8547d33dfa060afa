import { BrokerToken, type TokenAnswer } from './broker-token.js';

/** When to look again after a failure, in milliseconds: doubling from the first to the most. */
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 60_000;
/** However late the broker's answer was: nobody asks more often than this, in milliseconds. */
const SOONEST_REFRESH_MS = 5_000;
/** A token that never ends may be replaced or revoked all the same. Milliseconds. */
const ENDLESS_REFRESH_MS = 300_000;

/**
 * A token as it lies in memory, by this machine's monotonic time: nobody's clock has to be right. It lives from when it
 * was asked for, so that it is never taken for younger than it is.
 */
export class CachedToken {
  readonly token: BrokerToken;
  readonly #endsAt: number;
  readonly #refreshAt: number;
  readonly #scopes: ReadonlySet<string>;
  #pauseUntil = -Infinity;
  #failures = 0;

  /**
   * @param askedAt monotonic milliseconds right before the request was sent
   * @param brokerNow the broker's time as it answered, in milliseconds since 1970
   */
  constructor(answer: TokenAnswer, askedAt: number, brokerNow: number) {
    this.token = new BrokerToken(answer);
    this.#endsAt = answer.expires_in === null ? Infinity : askedAt + answer.expires_in * 1_000;
    this.#refreshAt = askedAt + Math.max(SOONEST_REFRESH_MS, refreshInMs(answer, brokerNow));
    this.#scopes = new Set(answer.scopes);
  }

  /** Does it still live `minTtl` seconds? */
  satisfies(minTtl: number, now: number): boolean {
    return this.#endsAt - now > 0 && this.#endsAt - now >= minTtl * 1_000;
  }

  holds(scopes: readonly string[]): boolean {
    return this.#scopes.has('*') || scopes.every((scope) => this.#scopes.has(scope));
  }

  /** The broker said that it is time to ask again, and it has not just failed to answer. */
  isDue(now: number): boolean {
    return now >= this.#refreshAt && now >= this.#pauseUntil;
  }

  /** It could not be asked: the token is used on, and the broker left alone for a while. */
  failed(now: number, retryAfterMs = 0): void {
    const pause = Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#pauseUntil = now + Math.max(retryAfterMs, pause * (0.5 + Math.random() / 2));
  }
}

/** From the two times of the answer where it can be, so that nobody's clock matters. */
function refreshInMs(answer: TokenAnswer, brokerNow: number): number {
  const refreshAt = Date.parse(answer.refresh_after);
  if (answer.expires_at === null || answer.expires_in === null)
    return Math.min(ENDLESS_REFRESH_MS, refreshAt - brokerNow);
  return answer.expires_in * 1_000 - (Date.parse(answer.expires_at) - refreshAt);
}
