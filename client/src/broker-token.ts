import { TokenBrokerError } from './token-broker-error.js';

/** The broker's answer, as it is on the wire; the other fields are not needed here. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: string;
  readonly header: { readonly name: string; readonly value: string };
  readonly base_url: string | null;
  readonly expires_at: string | null;
  readonly expires_in: number | null;
  readonly refresh_after: string;
  readonly scopes: readonly string[];
  readonly version: number;
  readonly stale: boolean;
  readonly warning?: string;
  readonly level: 'company' | 'location';
  readonly connection_id: string | null;
  readonly user?: { readonly id: string | null };
}

/** Throws a TokenBrokerError where it is none: a gateway may answer in the broker's place. */
export function readTokenAnswer(body: unknown): TokenAnswer {
  const answer = body as Partial<TokenAnswer> | null;
  const isOne =
    typeof answer?.access_token === 'string' &&
    typeof answer.header?.name === 'string' &&
    typeof answer.header.value === 'string' &&
    typeof answer.version === 'number' &&
    typeof answer.refresh_after === 'string' &&
    Array.isArray(answer.scopes);
  if (isOne) return answer as TokenAnswer;
  throw new TokenBrokerError('broker_unreachable', 'what answered was no token, and so not the broker');
}

/** A token, and how to use it. Printing or serialising it shows no secret. */
export class BrokerToken {
  readonly #accessToken: string;
  readonly #headerValue: string;
  readonly headerName: string;
  readonly tokenType: string;
  /** The origin and path under which it is good; null where nobody has told the broker. */
  readonly baseUrl: string | null;
  readonly expiresAt: Date | null;
  readonly scopes: readonly string[];
  /** Grows by one with each new token of the connection. */
  readonly version: number;
  /** Not the newest that should be; `warning` says why. */
  readonly stale: boolean;
  readonly warning: string | undefined;
  /** `company` also where a location was asked for that may fall back to it. */
  readonly level: 'company' | 'location';
  readonly connectionId: string | null;
  /** Whose it is; only of a session. */
  readonly userId: string | null;

  constructor(answer: TokenAnswer) {
    this.#accessToken = answer.access_token;
    this.#headerValue = answer.header.value;
    this.headerName = answer.header.name;
    this.tokenType = answer.token_type;
    this.baseUrl = answer.base_url;
    this.expiresAt = answer.expires_at === null ? null : new Date(answer.expires_at);
    this.scopes = answer.scopes;
    this.version = answer.version;
    this.stale = answer.stale;
    this.warning = answer.warning;
    this.level = answer.level;
    this.connectionId = answer.connection_id;
    this.userId = answer.user?.id ?? null;
  }

  /** A secret. */
  get accessToken(): string {
    return this.#accessToken;
  }

  /** Exactly what to send to the provider; the value is a secret. */
  get header(): { readonly name: string; readonly value: string } {
    return { name: this.headerName, value: this.#headerValue };
  }

  /** Whether a request to this address may carry it: only below the origin that the broker names. */
  belongsTo(url: URL): boolean {
    return this.baseUrl !== null && new URL(this.baseUrl).origin === url.origin;
  }
}
