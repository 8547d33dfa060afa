/** What the broker answered instead of a token, or that it could not be asked. Its message holds no secret. */
export class TokenBrokerError extends Error {
  override name = 'TokenBrokerError';

  constructor(
    /** A code of the broker's, as in its documents, or `broker_unreachable` or `wrong_origin`. */
    readonly code: string,
    detail: string,
    readonly details: {
      /** The HTTP status that the broker answered. */
      readonly status?: number;
      readonly requestId?: string;
      readonly connectionId?: string;
      /** Where a seller connects again; told to callers with `connection:write` alone. */
      readonly authorizeUrl?: string;
      readonly retryAfterMs?: number;
    } = {},
  ) {
    super(`${code}: ${detail}`);
  }

  /** Asking again later may help, without anybody doing anything. */
  get isTemporary(): boolean {
    const { status } = this.details;
    return this.code === 'broker_unreachable' || status === 429 || status === 503;
  }

  /**
   * The broker has said that this caller is to have no such token, so that one in hand is not used any more either. Our
   * own key is another matter: an answer of 401 says nothing of the token.
   */
  get isFinal(): boolean {
    const { status } = this.details;
    return status === 403 || status === 404 || status === 410;
  }

  /** There is none on the terms that were asked for, a life or scopes; on others there may be. */
  get isUnservable(): boolean {
    return this.details.status === 409 && this.code !== 'ttl_unsatisfiable';
  }
}

/** Whatever went wrong, as one of these: it could not be asked. */
export function asBrokerError(error: unknown): TokenBrokerError {
  if (error instanceof TokenBrokerError) return error;
  const { message, cause } = error as Error;
  const why = cause instanceof Error && cause.message !== '' ? cause.message : message;
  return new TokenBrokerError('broker_unreachable', why);
}
