/**
 * The closed family of errors that a caller can meet, after RFC 9457. Services throw a Problem; `http/problem.filter.ts`
 * alone turns it into an answer. A detail never quotes a provider's body, a request's body or a secret.
 */

type LogLevel = 'debug' | 'warn' | 'error';

const CATALOGUE = {
  invalid_request: [400, 'The request is malformed', 'debug'],
  unauthenticated: [401, 'A valid key is required', 'debug'],
  forbidden: [403, 'This caller may not do this', 'debug'],
  not_found: [404, 'There is nothing here', 'debug'],
  provider_not_found: [404, 'No such provider is configured', 'debug'],
  connection_not_found: [404, 'There is no such connection', 'debug'],
  session_not_found: [404, 'There is no such session', 'debug'],
  client_not_found: [404, 'There is no such client', 'debug'],
  key_not_found: [404, 'There is no such data key', 'debug'],
  reauthorization_required: [409, 'A seller has to connect again', 'debug'],
  scope_missing: [409, 'The token lacks a scope', 'debug'],
  ttl_unsatisfiable: [409, 'No token of this provider lives that long', 'debug'],
  connection_paused: [409, 'The connection is paused', 'debug'],
  key_in_use: [409, 'The data key is still needed', 'debug'],
  connection_revoked: [410, 'The connection was revoked', 'debug'],
  payload_too_large: [413, 'The body is too large', 'debug'],
  credential_rejected: [422, 'The provider refused this credential', 'debug'],
  not_renewable: [422, 'This cannot lead to a renewal', 'debug'],
  rate_limited: [429, 'Too many requests', 'debug'],
  internal_error: [500, 'Something went wrong in the broker', 'error'],
  provider_misconfigured: [502, "The provider refuses the broker's own registration", 'warn'],
  provider_protocol_error: [502, "The provider's answer made no sense", 'warn'],
  provider_unavailable: [503, 'The provider cannot be reached now', 'warn'],
  store_unavailable: [503, 'The database cannot be reached now', 'warn'],
  key_service_unavailable: [503, 'The key-encryption key cannot be used now', 'warn'],
  overloaded: [503, 'Too much is going on here now', 'debug'],
  not_ready: [503, 'The broker is not ready', 'warn'],
} as const satisfies Record<string, readonly [number, string, LogLevel]>;

export type ProblemCode = keyof typeof CATALOGUE;

export const PROBLEM_CODES = Object.keys(CATALOGUE) as ProblemCode[];

/** One malformed input: which field, and what it must be. Never the value that came. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** What a problem may carry beside its detail; every member is part of the contract. */
export interface ProblemExtensions {
  readonly errors?: readonly FieldError[];
  /** Whole seconds, at least 1; also sent as `Retry-After`. */
  readonly retry_after?: number;
  readonly connection_id?: string;
  readonly authorize_url?: string;
  readonly missing_scopes?: readonly string[];
  /** Seconds: the longest `min_ttl` that can be had. */
  readonly max_ttl?: number;
  readonly checks?: Readonly<Record<string, string>>;
}

export interface ProblemBody extends ProblemExtensions {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly request_id: string;
}

export class Problem extends Error {
  /** The HTTP status, where the same code has several (400, 414, 415 and 431 are all `invalid_request`). */
  readonly status: number;
  /** Headers that go with it beside those that every problem of its code has. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly extensions: ProblemExtensions = {},
    answer: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.name = 'Problem';
    this.status = answer.status ?? CATALOGUE[code][0];
    this.headers = answer.headers ?? {};
  }

  get logLevel(): LogLevel {
    return CATALOGUE[this.code][2];
  }

  toBody(requestId: string): ProblemBody {
    return {
      type: `urn:token-broker:problem:${this.code}`,
      title: CATALOGUE[this.code][1],
      status: this.status,
      code: this.code,
      detail: this.detail,
      request_id: requestId,
      ...this.extensions,
    };
  }
}

/** A malformed input at one field. */
export function invalid(field: string, message: string): Problem {
  return new Problem('invalid_request', `${field} ${message}`, { errors: [{ field, message }] });
}
