import type { Rotation } from '../config/provider-shapes.js';
import type { Failure } from '../provider/verdict.js';
import { backoff, LATEST_BEFORE_EXPIRY_S, type Random } from './calendar.js';
import { isReported, remainingSeconds, type ClaimedConnection, type ConnectionStatus } from './connection.js';

/** What the engine's decisions need to know of a provider. */
export interface ProviderTraits {
  readonly rotation: Rotation;
  /** Of `grace`: for so many seconds after its first use. */
  readonly graceSeconds: number;
  readonly mintsFromCredential: boolean;
}

/** What a failed attempt does to its connection. Everything is relative to now; null `renewInS`: never by itself. */
export interface FailureSettlement {
  readonly status: ConnectionStatus;
  readonly statusReason: string | null;
  readonly lastError: string;
  readonly consecutiveFailures: number;
  readonly refusals: number;
  readonly unknownOutcome: 'crash' | 'no_answer' | null;
  /** The refresh token was sent, by this attempt or before, and what became of that is not known. */
  readonly unanswered: boolean;
  readonly renewInS: number | null;
}

/** Attempts that may be lost to crashes before the connection is left alone. */
const MOST_CRASHES = 3;
/** A grant that was refused without a known code is tried again after these seconds; the next such refusal is the last. */
const SUSPECT_RETRIES_S = [60, 300, 1_800] as const;
/** A stored credential may be put right at the provider's side, so even a dead one is tried, rarely. */
const DEAD_CREDENTIAL_RETRY_S = 3_600;

/** May the refresh token of this connection be sent again when nobody knows whether it was spent? */
export function isResendSafe(connection: ClaimedConnection, provider: ProviderTraits): boolean {
  return resendableForS(connection, provider) > 0;
}

/**
 * For how many seconds after its claim. A grace is counted from the first sending: when the provider took that for the first
 * use nobody knows, but it was not before.
 */
export function resendableForS(
  { refreshTokenKept, unansweredS }: ClaimedConnection,
  { rotation, graceSeconds, mintsFromCredential }: ProviderTraits,
): number {
  if (rotation === 'none' || mintsFromCredential || refreshTokenKept === true) return Infinity;
  if (rotation !== 'grace') return 0;
  return unansweredS === null ? Infinity : graceSeconds - unansweredS;
}

/**
 * Before asking: what an attempt that nobody came back from means, or one that was not answered within the grace. Null: ask.
 * Where a refresh token may have been spent, the next try is put off as long as the token in hand allows, and after too many
 * crashes there is none.
 */
export function settleBeforeAsking(
  connection: ClaimedConnection,
  provider: ProviderTraits,
): FailureSettlement | null {
  const unknown = unknownAfter(connection, provider);
  if (unknown === null || isResendSafe(connection, provider)) return null;
  if (connection.crashed && connection.crashes > MOST_CRASHES)
    return dead(connection, 'lost_in_flight', provider);
  const putOffS = usableSeconds(connection);
  // Where the token in hand is nearly gone, or was put off before, this attempt is the probe.
  if (connection.unknownOutcome !== null || !(putOffS > 0) || !Number.isFinite(putOffS)) return null;
  return {
    ...unchanged(connection),
    lastError: 'lost_in_flight',
    consecutiveFailures: connection.consecutiveFailures + 1,
    unknownOutcome: unknown,
    renewInS: putOffS,
  };
}

/**
 * Refused once more as if the provider did not know us, though it has taken our registration meanwhile: that is about this
 * connection alone, such as a company that is gone. It waits longer each time, since to put it down to the provider would
 * keep all others waiting. Any other failure is what it is.
 */
export function ownTrouble(
  connection: ClaimedConnection,
  failure: Failure,
  isProviderMisconfigured: boolean,
): Failure {
  const { kind, code } = failure;
  if (kind !== 'misconfigured' || isProviderMisconfigured || connection.lastError !== code) return failure;
  const times = Math.min(connection.consecutiveFailures, SUSPECT_RETRIES_S.length);
  return {
    kind: 'unavailable',
    code,
    mayHaveActed: false,
    retryAfterSeconds: SUSPECT_RETRIES_S[times - 1] ?? 0,
  };
}

/** After asking: what a failure does. Pure; `random` is drawn for backoff only. */
export function settleFailure(
  claimed: ClaimedConnection,
  failure: Failure,
  provider: ProviderTraits,
  random: Random,
): FailureSettlement {
  // The lease that told of the crash ends with this attempt: what it left unknown must be written down.
  const connection = { ...claimed, unknownOutcome: unknownAfter(claimed, provider) };
  // A probe that is refused tells where the lost answer went: the grant was spent by it.
  const wasProbe = connection.unknownOutcome !== null && !isResendSafe(connection, provider);
  switch (failure.kind) {
    case 'grant_refused':
      return dead(connection, wasProbe ? 'lost_in_flight' : failure.code, provider);
    case 'grant_doubtful':
      return wasProbe
        ? dead(connection, 'lost_in_flight', provider)
        : doubtful(connection, failure.code, provider);
    case 'misconfigured':
      // The provider's own pause is what holds it back: once that is over, there is no reason to wait longer.
      return retry(connection, failure.code, 0);
    case 'unavailable': {
      const pause = Math.max(
        backoff(connection.consecutiveFailures + 1, random),
        failure.retryAfterSeconds ?? 0,
      );
      const unanswered = failure.mayHaveActed || connection.unansweredS !== null;
      const settled = { ...retry(connection, failure.code, pause), unanswered };
      if (!failure.mayHaveActed || isResendSafe(connection, provider)) return settled;
      const putOffS = usableSeconds(connection);
      const renewInS = Number.isFinite(putOffS) ? Math.max(pause, putOffS) : pause;
      return { ...settled, unknownOutcome: 'no_answer', renewInS };
    }
  }
}

/**
 * Whether a refusal counts among those that say something of the provider: not that of a probe after a lost answer, which says
 * where that answer went, and not another of a grant that is dead already.
 */
export function isCountedRefusal(
  connection: ClaimedConnection,
  failure: Failure,
  provider: ProviderTraits,
): boolean {
  if (failure.kind !== 'grant_refused' && failure.kind !== 'grant_doubtful') return false;
  // Nobody was asked.
  if (failure.code === 'no_refresh_token') return false;
  const isProbe = unknownAfter(connection, provider) !== null && !isResendSafe(connection, provider);
  return !isProbe && connection.status !== 'reauthorization_required';
}

/** A refusal that is not believed, since too many others were refused: tried again once the provider is asked again. */
export function holdBack(connection: ClaimedConnection, { code }: Failure): FailureSettlement {
  return retry(connection, code, 0);
}

/** What is unknown once this attempt is over without a verdict on the grant. */
export function unknownAfter(
  connection: ClaimedConnection,
  provider: ProviderTraits,
): ClaimedConnection['unknownOutcome'] {
  const { unknownOutcome, crashed, unansweredS } = connection;
  if (unknownOutcome !== null || isResendSafe(connection, provider)) return unknownOutcome;
  if (crashed) return 'crash';
  return unansweredS === null ? null : 'no_answer';
}

/** How long callers can be served with the token in hand; one that was reported with a 401 is as good as gone. */
function usableSeconds(connection: ClaimedConnection): number {
  return isReported(connection) ? 0 : remainingSeconds(connection) - LATEST_BEFORE_EXPIRY_S;
}

function unchanged(connection: ClaimedConnection): Omit<FailureSettlement, 'lastError' | 'renewInS'> {
  const { status, statusReason, consecutiveFailures, refusals, unknownOutcome } = connection;
  const unanswered = connection.unansweredS !== null;
  return { status, statusReason, consecutiveFailures, refusals, unknownOutcome, unanswered };
}

function retry(connection: ClaimedConnection, code: string, renewInS: number): FailureSettlement {
  return {
    ...unchanged(connection),
    lastError: code,
    consecutiveFailures: connection.consecutiveFailures + 1,
    renewInS,
  };
}

function dead(connection: ClaimedConnection, reason: string, provider: ProviderTraits): FailureSettlement {
  return {
    ...unchanged(connection),
    status: 'reauthorization_required',
    statusReason: reason,
    lastError: reason,
    consecutiveFailures: connection.consecutiveFailures + 1,
    unknownOutcome: null,
    unanswered: false,
    renewInS: provider.mintsFromCredential ? DEAD_CREDENTIAL_RETRY_S : null,
  };
}

function doubtful(connection: ClaimedConnection, code: string, provider: ProviderTraits): FailureSettlement {
  const refusals = connection.refusals + 1;
  const retryInS = SUSPECT_RETRIES_S[refusals - 1];
  const isDeadAlready = connection.status === 'reauthorization_required';
  if (retryInS === undefined || isReported(connection) || isDeadAlready) {
    return { ...dead(connection, code, provider), refusals };
  }
  return {
    ...retry(connection, code, retryInS),
    status: 'suspect',
    statusReason: code,
    refusals,
    unknownOutcome: null,
  };
}
