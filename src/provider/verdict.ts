import type { FailureCode, Outcome } from './token-provider.js';
import type { UpstreamResult } from './upstream.js';

/** What a verdict depends on beside the answer itself. */
export interface VerdictContext {
  /** Body codes of this provider that mean the same as `invalid_grant`. */
  readonly deadGrantCodes: readonly string[];
  /** Body codes of this provider that mean the same as `invalid_client`. */
  readonly clientErrorCodes: readonly string[];
  /** True where this provider has renewed in this dialect before: then a bare refusal may be about the grant. */
  readonly hasRenewed: boolean;
}

/** The codes of answers that came and made no sense. */
export const MADE_NO_SENSE: ReadonlySet<string> = new Set<FailureCode>([
  'malformed_answer',
  'answer_too_large',
  'token_missing',
]);

export type Failure = Exclude<Outcome, { kind: 'issued' }>;

type Answer = Extract<UpstreamResult, { kind: 'answered' }>;

/** RFC 6749 5.2: errors about the client or the request, which say nothing of the grant. */
const CLIENT_CODES = new Set(['invalid_client', 'unauthorized_client']);
const REQUEST_CODES = new Set(['unsupported_grant_type', 'invalid_request', 'invalid_scope']);

const RETRY_AFTER_MOST_S = 900;

/**
 * What a failed call to a token endpoint means: codes beat status, and the three fault domains stay apart (the grant,
 * our registration, the way there). Pure. An answer that holds a token is no failure and must not come here.
 */
export function judgeFailure(result: UpstreamResult, context: VerdictContext): Failure {
  if (result.kind === 'failed') {
    if (result.code === 'private_address') return { kind: 'misconfigured', code: result.code };
    return unavailable(result.code, result.mayHaveActed);
  }
  const { json } = result;
  for (const code of codesOf(json)) {
    const failure = judgeCode(code, context);
    if (failure) return failure;
  }
  return judgeStatus(result, context);
}

/** Undefined for a code that nobody knows. */
function judgeCode(code: string, { deadGrantCodes, clientErrorCodes }: VerdictContext): Failure | undefined {
  if (code === 'invalid_grant' || deadGrantCodes.includes(code)) {
    return { kind: 'grant_refused', code: 'invalid_grant' };
  }
  if (CLIENT_CODES.has(code) || clientErrorCodes.includes(code)) {
    return { kind: 'misconfigured', code: 'client_refused' };
  }
  return REQUEST_CODES.has(code) ? { kind: 'misconfigured', code: 'request_refused' } : undefined;
}

function judgeStatus(answer: Answer, context: VerdictContext): Failure {
  const { status } = answer;
  const retryAfter = readRetryAfter(answer.retryAfter, answer.sentAtDate);
  if (status >= 300 && status < 400) return { kind: 'misconfigured', code: 'redirected' };
  if (status === 404 || status === 405 || status === 410)
    return { kind: 'misconfigured', code: 'endpoint_gone' };
  // Refused before anything was done with it: the same request may be sent again.
  if (status === 408 || status === 425) return unavailable('server_error', false, retryAfter);
  if (status === 429) return unavailable('rate_limited', false, retryAfter);
  if (status >= 500) return unavailable('server_error', true, retryAfter);
  if (answer.json === undefined) return unavailable('malformed_answer', true);
  if (status >= 200 && status < 300) return unavailable('token_missing', true);
  if (status === 400 || status === 401 || status === 403) {
    return context.hasRenewed
      ? { kind: 'grant_doubtful', code: 'refused_without_code' }
      : { kind: 'misconfigured', code: 'refused_without_code' };
  }
  return { kind: 'misconfigured', code: 'request_refused' };
}

function unavailable(
  code: FailureCode,
  mayHaveActed: boolean,
  retryAfterSeconds: number | null = null,
): Failure {
  return { kind: 'unavailable', code, mayHaveActed, retryAfterSeconds };
}

/** `Retry-After` in both of its forms (RFC 9110 10.2.3) as seconds, at most 15 minutes; null where there is none. */
export function readRetryAfter(value: string | undefined, now: Date): number | null {
  if (value === undefined) return null;
  const seconds = /^\d{1,9}$/.test(value.trim())
    ? Number(value)
    : (Date.parse(value) - now.getTime()) / 1_000;
  return Number.isNaN(seconds) ? null : Math.max(0, Math.min(RETRY_AFTER_MOST_S, seconds));
}

/**
 * The error codes of a body: RFC 6749's `error`, then the `code` and `errorCode` that others use, beside a sentence in `error`
 * as well. The first that is known decides.
 */
export function codesOf(json: unknown): string[] {
  if (typeof json !== 'object' || json === null) return [];
  const { error, code, errorCode } = json as Record<string, unknown>;
  return [error, code, errorCode]
    .filter((value) => typeof value === 'string' || typeof value === 'number')
    .map(String);
}
