import type { TokenBroker } from './token-broker.js';
import { TokenBrokerError } from './token-broker-error.js';

/** The part of a session of Fynd's extension library that is looked at; the rest is kept as it comes. */
interface ExtensionSession {
  readonly company_id?: string | number | null;
  readonly access_mode?: string | null;
  readonly access_token?: string | null;
  readonly refresh_token?: string | null;
  readonly expires_in?: string | number | null;
  readonly access_token_validity?: number | null;
  readonly scope?: readonly string[] | null;
}

/** What the library takes as its storage: its own for Redis, SQLite, memory and Mongo, or one made for an extension. */
export interface ExtensionStorage {
  get(key: string): Promise<unknown>;
  set(key: string, value: object): Promise<unknown>;
  setex(key: string, value: object, ttl: number): Promise<unknown>;
  del(key: string): Promise<unknown>;
}

export interface FyndExtensionStorageSettings {
  /** The broker's name for this extension: `fynd` unless said otherwise. */
  readonly provider?: string;
  /** The broker's public address, to which a seller's uninstall is passed on, for it to prove. */
  readonly publicUrl?: string;
  readonly fetch?: typeof globalThis.fetch;
}

/** Half a minute more than the library renews ahead of time; it never does, but others may go by the end, too. */
const MIN_TTL_S = 150;
/** The end of a token that never ends, as milliseconds from now: the library takes none for none. */
const NEVER_MS = 365 * 86_400_000;
/** An uninstall waits no longer for the broker than this, in milliseconds: it finds out by itself, only later. */
const HINT_MS = 5_000;
/** What the broker answers where nothing is to be had until the seller connects again: the library begins anew then. */
const GONE = new Set(['connection_not_found', 'reauthorization_required', 'connection_revoked']);

/**
 * A storage for Fynd's extension library (`@gofynd/fdk-extension-javascript`) that leaves the grants to the broker. The
 * library keeps its routes and its sessions in the storage that it had; of an offline session the tokens go to the broker,
 * and come back fresh at each reading, without a refresh token, so that the library never renews.
 *
 * A session that still lies there with its tokens is answered as it is for as long as the broker has none of that company.
 */
export class FyndExtensionStorage implements ExtensionStorage {
  readonly #provider: string;

  constructor(
    private readonly inner: ExtensionStorage,
    private readonly broker: TokenBroker,
    private readonly settings: FyndExtensionStorageSettings = {},
  ) {
    this.#provider = settings.provider ?? 'fynd';
  }

  async get(key: string): Promise<unknown> {
    const session = (await this.inner.get(key)) as ExtensionSession | null;
    const company = session && companyOf(session);
    if (company === null) return session;
    try {
      const token = await this.broker.token(this.#provider, { company, minTtl: MIN_TTL_S });
      const endsAt = token.expiresAt?.getTime() ?? Date.now() + NEVER_MS;
      return {
        ...session,
        access_mode: 'offline',
        access_token: token.accessToken,
        access_token_validity: endsAt,
        expires_in: Math.floor((endsAt - Date.now()) / 1_000),
        refresh_token: null,
      };
    } catch (error) {
      if (!(error instanceof TokenBrokerError) || !GONE.has(error.code)) throw error;
      const isAsBefore = error.code === 'connection_not_found' && Boolean(session?.refresh_token);
      return isAsBefore ? session : null;
    }
  }

  async set(key: string, value: object): Promise<unknown> {
    return this.inner.set(key, await this.#handOver(value));
  }

  async setex(key: string, value: object, ttl: number): Promise<unknown> {
    return this.inner.setex(key, await this.#handOver(value), ttl);
  }

  /** Ends the session here, and has the broker find out whether the extension is really gone: anybody can say so. */
  async del(key: string): Promise<void> {
    const session = (await this.inner.get(key)) as ExtensionSession | null;
    await this.inner.del(key);
    const company = session && companyOf(session);
    if (company === null || this.settings.publicUrl === undefined) return;
    const fetch = this.settings.fetch ?? globalThis.fetch;
    await fetch(`${this.settings.publicUrl.replace(/\/+$/, '')}/fp/uninstall`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ company_id: company }),
      signal: AbortSignal.timeout(HINT_MS),
    }).catch(() => undefined);
  }

  /** What is left to keep once the broker has the tokens. Throws where it does not take them: nothing is lost then. */
  async #handOver(value: ExtensionSession): Promise<object> {
    const company = companyOf(value);
    if (company === null) return value;
    const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn, scope } = value;
    if (refreshToken) {
      await this.broker.keepGrant(this.#provider, company, {
        refresh_token: refreshToken,
        ...(accessToken ? { access_token: accessToken } : {}),
        ...(accessToken && Number(expiresIn) >= 1 ? { expires_in: Math.floor(Number(expiresIn)) } : {}),
        ...(scope ? { scopes: scope } : {}),
      });
    }
    return { ...value, access_mode: 'offline', access_token: null, refresh_token: null };
  }
}

/**
 * Of an offline session of a company; users' and partners' sessions are not the broker's. The library forgets the mode
 * with the first renewal; but then, users' tokens are never renewed.
 */
function companyOf(session: ExtensionSession): string | null {
  const { access_mode: mode, company_id: company, refresh_token: refreshToken } = session;
  const isOffline = mode === 'offline' || (!mode && Boolean(refreshToken));
  return isOffline && company !== null && company !== undefined ? String(company) : null;
}
