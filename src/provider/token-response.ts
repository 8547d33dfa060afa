import { readToken } from './access-token.js';
import { readExpiry } from './expiry.js';
import type { IssuedToken } from './token-provider.js';
import type { UpstreamResult } from './upstream.js';

/** How a token answer is to be understood. */
export interface TokenResponseReading {
  /** Seconds that count where the answer tells no usable lifetime. */
  readonly fallbackSeconds: number;
  /** What the dialect is remembered as. */
  readonly dialect: string;
}

/** A token answer (RFC 6749 5.1), read. */
export interface TokenResponse {
  readonly token: IssuedToken;
  /** Undefined where none came that could be sent again. */
  readonly refreshToken: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * The token in an answer of a token endpoint, in whatever dialect: `token_type` or Connect's `type`, expiry as expiry.ts
 * knows it, scopes as a list or a text. Null where it holds none that is usable: then it is a failure, for verdict.ts.
 */
export function readTokenResponse(
  result: UpstreamResult,
  { fallbackSeconds, dialect }: TokenResponseReading,
): TokenResponse | null {
  if (result.kind === 'failed' || result.status < 200 || result.status >= 300) return null;
  const body = (result.json ?? {}) as Record<string, unknown>;
  const accessToken = readToken(body['access_token']);
  if (!accessToken) return null;
  const expiry = readExpiry(body, fallbackSeconds, result.sentAtDate, result.date);
  return {
    token: {
      accessToken,
      tokenType: readTokenType(body['token_type'] ?? body['type']),
      lifetimeSeconds: expiry.lifetimeSeconds,
      lifetimeAssumed: expiry.assumed,
      scopes: readScopes(body['scope']),
      grant: null,
      refreshTokenKept: null,
      sentAt: result.sentAt,
      dialect,
    },
    refreshToken: readRefreshToken(body['refresh_token']),
    body,
  };
}

/**
 * Whether this refresh token goes on working, as far as the answer shows: one that names no other keeps it (RFC 6749 6). Null
 * where it names what cannot be sent: then nobody knows.
 */
export function keepsRefreshToken({ refreshToken, body }: TokenResponse, former: string): boolean | null {
  if (refreshToken !== undefined) return refreshToken === former;
  return (body['refresh_token'] ?? null) === null ? true : null;
}

/** It goes back to the provider alone, in a body, which holds any text (RFC 6749 A.17). */
function readRefreshToken(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** More than any provider has: each is kept, and told with every token. */
const MOST_SCOPES = 200;
/** One, short enough to be kept (RFC 6749 3.3). */
const SCOPE = /^[\x21-\x7e]{1,256}$/;

/** A list, or a text with commas or spaces; null where the answer does not say, or says nothing. */
function readScopes(value: unknown): string[] | null {
  const list = typeof value === 'string' ? value.split(/[\s,]+/) : value;
  if (!Array.isArray(list)) return null;
  const scopes = list.filter((scope): scope is string => typeof scope === 'string' && SCOPE.test(scope));
  return scopes.length > 0 ? scopes.slice(0, MOST_SCOPES) : null;
}

/** The type is case-insensitive (RFC 6749 5.1); the usual one is told in its usual spelling. */
function readTokenType(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9._~-]{1,64}$/.test(value) && !/^bearer$/i.test(value)
    ? value
    : 'Bearer';
}
