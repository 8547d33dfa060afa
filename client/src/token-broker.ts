import { authorizedFetch } from './authorized-fetch.js';
import { BrokerRequests } from './broker-requests.js';
import type { BrokerToken } from './broker-token.js';
import type { Credential } from './credential.js';
import { TokenBrokerError } from './token-broker-error.js';
import { TokenCache } from './token-cache.js';
import type { TokenSource } from './token-source.js';

/** Whose token. */
export interface Subject {
  readonly company: string | number;
  readonly location?: string | number;
  /** Of a location without a connection of its own: whether its company's token will do. */
  readonly level?: 'location' | 'location_then_company';
  /** Seconds that it must still live; 30 unless said otherwise. */
  readonly minTtl?: number;
  /** Scopes that it must hold. */
  readonly scopes?: readonly string[];
}

/** Whose session. */
export interface SessionOwner {
  readonly company: string | number;
  /** `fynd` unless said otherwise. */
  readonly provider?: string;
  readonly minTtl?: number;
  readonly scopes?: readonly string[];
}

interface Source {
  readonly path: string;
  /** What of the query tells whose token it is. */
  readonly query: Readonly<Record<string, string>>;
  readonly wish: { readonly minTtl: number; readonly scopes: readonly string[] };
  readonly reportPathOf: (token: BrokerToken) => string;
}

/** As the broker's API has it. */
export interface ImportedGrant {
  readonly refresh_token: string;
  readonly access_token?: string;
  /** Seconds; goes with `access_token`. */
  readonly expires_in?: number;
  readonly scopes?: readonly string[];
  /** Kept and served, and not renewed before it is resumed: somebody else may still be renewing it. */
  readonly paused?: boolean;
}

export type TokenBrokerSettings = {
  /** Where the broker's internal API is, such as `http://token-broker:8080`. */
  readonly url: string;
  /** The longest that a call waits for the broker, tries and all, in milliseconds: 15,000 unless said otherwise. */
  readonly deadlineMs?: number;
  /** Tokens that are kept in memory: 10,000 unless said otherwise. */
  readonly mostTokens?: number;
  /** Told of what went wrong beside a call that was answered from memory all the same. */
  readonly onRefreshFailed?: (error: TokenBrokerError) => void;
  /** Another `fetch` to ask the broker with, for a proxy or an authority of one's own. */
  readonly fetch?: typeof globalThis.fetch;
  /** Monotonic milliseconds, for tests: by these a token ages. */
  readonly now?: () => number;
} & Credential;

const DEADLINE_MS = 15_000;
const MOST_TOKENS = 10_000;
const MIN_TTL_S = 30;

/**
 * Tokens from Token Broker, kept in memory for as long as the broker says. Make one for a program and share it: callers of
 * the same token are answered by one request, and a service that makes a thousand calls a second asks a few times an hour.
 */
export class TokenBroker {
  readonly #requests: BrokerRequests;
  readonly #cache: TokenCache;

  constructor(settings: TokenBrokerSettings) {
    const { url, deadlineMs = DEADLINE_MS, mostTokens = MOST_TOKENS, now = monotonic } = settings;
    this.#requests = new BrokerRequests({
      url,
      credential: 'key' in settings ? { key: settings.key } : { keyFile: settings.keyFile },
      deadlineMs,
      fetch: settings.fetch ?? globalThis.fetch,
      now,
    });
    this.#cache = new TokenCache(mostTokens, now, settings.onRefreshFailed ?? ignore);
  }

  /** A token for a company, or for one of its locations. Throws a TokenBrokerError. */
  token(provider: string, subject: Subject): Promise<BrokerToken> {
    return this.source(provider, subject).get();
  }

  /** The token of the user who has this session. Throws a TokenBrokerError. */
  session(id: string, owner: SessionOwner): Promise<BrokerToken> {
    return this.sessionSource(id, owner).get();
  }

  /** `fetch` with a company's or location's token, as `authorizedFetch` says. */
  fetch(provider: string, subject: Subject, address: string | URL, init?: RequestInit): Promise<Response> {
    return authorizedFetch(this.source(provider, subject), address, init);
  }

  /** Has the broker keep a grant that was obtained elsewhere; needs `connection:write`. Throws a TokenBrokerError. */
  async keepGrant(provider: string, company: string | number, grant: ImportedGrant): Promise<void> {
    const path = `/v1/connections/${id('provider', provider)}/companies/${id('company', company)}`;
    await this.#requests.send({ method: 'PUT', path, body: grant });
    this.#cache.forget(nameOf(pathOf(provider, company)));
  }

  /** The same, for what asks again and again: a request that may have to be repeated. */
  source(provider: string, subject: Subject): TokenSource {
    const { location, level, minTtl = MIN_TTL_S, scopes = [] } = subject;
    const company = pathOf(provider, subject.company);
    const own = location === undefined ? company : `${company}/locations/${id('location', location)}`;
    return this.#source({
      path: own,
      query: level === undefined ? {} : { level },
      wish: { minTtl, scopes },
      reportPathOf: (token) => `${token.level === 'company' ? company : own}/report`,
    });
  }

  sessionSource(session: string, owner: SessionOwner): TokenSource {
    const { provider = 'fynd', minTtl = MIN_TTL_S, scopes = [] } = owner;
    const path = `/v1/tokens/${id('provider', provider)}/sessions/${id('session', session)}`;
    const query = { company_id: id('company', owner.company) };
    return this.#source({
      path,
      query,
      wish: { minTtl, scopes },
      reportPathOf: () => `${path}/report?${new URLSearchParams(query).toString()}`,
    });
  }

  #source({ path, query, wish, reportPathOf }: Source): TokenSource {
    const { minTtl, scopes } = wish;
    const params = new URLSearchParams({ ...query, min_ttl: String(minTtl) });
    if (scopes.length > 0) params.set('scope', scopes.join(','));
    const wanted = { ...wish, name: nameOf(path, query) };
    const ask = { method: 'GET', path: `${path}?${params.toString()}` } as const;
    return {
      get: () => this.#cache.get(wanted, () => this.#requests.send(ask)),
      reportRefused: async (token) => {
        const body = { version: token.version, status: 401 };
        const report = { method: 'POST', path: reportPathOf(token), body } as const;
        return this.#cache.keep(wanted.name, await this.#requests.send(report));
      },
    };
  }
}

const monotonic = (): number => performance.now();
const ignore = (): void => undefined;

function pathOf(provider: string, company: string | number): string {
  return `/v1/tokens/${id('provider', provider)}/companies/${id('company', company)}`;
}

/** Under which a token lies in memory. */
function nameOf(path: string, query: Readonly<Record<string, string>> = {}): string {
  return `${path}?${new URLSearchParams(query).toString()}`;
}

/** As the broker takes it. What is put into a path must not lead out of it. */
function id(what: string, value: string | number): string {
  const text = String(value);
  if (/^[A-Za-z0-9._-]{1,64}$/.test(text) && !/^\.\.?$/.test(text)) return text;
  throw new TokenBrokerError(
    'invalid_request',
    `${what} must be 1 to 64 of A-Z a-z 0-9 . _ - and not . or ..`,
  );
}
