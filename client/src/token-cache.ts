import type { BrokerAnswer } from './broker-requests.js';
import { readTokenAnswer, type BrokerToken } from './broker-token.js';
import { CachedToken } from './cached-token.js';
import { asBrokerError, type TokenBrokerError } from './token-broker-error.js';

/** What a caller asks for. */
export interface Wanted {
  /** Whose token: two with the same name are answered from the same place in memory. */
  readonly name: string;
  /** Seconds that it must still live. */
  readonly minTtl: number;
  readonly scopes: readonly string[];
}

/** The tokens in hand of one program, at most `most` of them; who was asked for the longest ago is forgotten first. */
export class TokenCache {
  readonly #tokens = new Map<string, CachedToken>();
  /** By what exactly is asked for. */
  readonly #asking = new Map<string, Promise<BrokerToken>>();
  readonly #refreshing = new Set<string>();

  constructor(
    private readonly most: number,
    /** Monotonic milliseconds. */
    private readonly now: () => number,
    private readonly onRefreshFailed: (error: TokenBrokerError) => void,
  ) {}

  /**
   * The token in hand, where it satisfies; where the broker has said that it is time to ask again, that is done beside it.
   * Else as `ask` brings it, once for all who wait for the same. Where the broker cannot be asked, a token that satisfies is
   * used on.
   */
  async get(wanted: Wanted, ask: () => Promise<BrokerAnswer>): Promise<BrokerToken> {
    const { name, minTtl, scopes } = wanted;
    const now = this.now();
    const cached = this.#tokens.get(name);
    if (cached?.satisfies(minTtl, now) && cached.holds(scopes)) {
      this.#put(name, cached);
      if (cached.isDue(now)) this.#refresh(name, cached, ask);
      return cached.token;
    }
    const key = JSON.stringify([name, minTtl, ...scopes]);
    let asking = this.#asking.get(key);
    if (!asking) {
      asking = this.#ask(name, ask).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  /** Keeps what the broker has answered; a newer version that came meanwhile stays. */
  keep(name: string, { body, askedAt, brokerNow }: BrokerAnswer): BrokerToken {
    const brought = new CachedToken(readTokenAnswer(body), askedAt, brokerNow);
    const known = this.#tokens.get(name)?.token;
    const isOlder =
      known?.connectionId === brought.token.connectionId && known.version > brought.token.version;
    if (!isOlder) this.#put(name, brought);
    return brought.token;
  }

  forget(name: string): void {
    this.#tokens.delete(name);
  }

  #refresh(name: string, cached: CachedToken, ask: () => Promise<BrokerAnswer>): void {
    if (this.#refreshing.has(name)) return;
    this.#refreshing.add(name);
    this.#ask(name, ask)
      .catch((error: unknown) => {
        const failure = asBrokerError(error);
        // It was asked for on terms that the token in hand meets: the broker knows better.
        if (failure.isUnservable) this.#tokens.delete(name);
        cached.failed(this.now(), failure.details.retryAfterMs);
        this.onRefreshFailed(failure);
      })
      .finally(() => this.#refreshing.delete(name));
  }

  async #ask(name: string, ask: () => Promise<BrokerAnswer>): Promise<BrokerToken> {
    try {
      return this.keep(name, await ask());
    } catch (error) {
      if (asBrokerError(error).isFinal) this.#tokens.delete(name);
      throw error;
    }
  }

  /** A Map lists what was put in last as the last. */
  #put(name: string, token: CachedToken): void {
    this.#tokens.delete(name);
    this.#tokens.set(name, token);
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= this.most) break;
      this.#tokens.delete(oldest);
    }
  }
}
