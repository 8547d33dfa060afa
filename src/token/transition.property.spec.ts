import { describe, it } from '@jest/globals';
import {
  array,
  assert,
  boolean,
  constantFrom,
  double,
  integer,
  option,
  property,
  record,
  type Arbitrary,
} from 'fast-check';
import type { Failure } from '../provider/verdict.js';
import { aConnection, inSeconds } from '../../test/support/connections.js';
import { isReported, remainingSeconds, type ClaimedConnection } from './connection.js';
import {
  isResendSafe,
  settleBeforeAsking,
  settleFailure,
  type FailureSettlement,
  type ProviderTraits,
} from './transition.js';

const DEAD_GRANT = 'reauthorization_required';
const LEASE_S = 20;

/** One attempt: what goes wrong in it, and how. */
interface Mishap {
  readonly crashed: boolean;
  readonly failure: Failure;
  readonly drawn: number;
}

/** An attempt as it was settled, with the connection before it. */
interface Settled {
  readonly before: ClaimedConnection;
  readonly mishap: Mishap;
  readonly after: FailureSettlement;
}

const failures: Arbitrary<Failure> = constantFrom(
  { kind: 'grant_refused', code: 'invalid_grant' },
  { kind: 'grant_doubtful', code: 'refused_without_code' },
  { kind: 'misconfigured', code: 'client_refused' },
  { kind: 'unavailable', code: 'not_reached', mayHaveActed: false, retryAfterSeconds: null },
  { kind: 'unavailable', code: 'rate_limited', mayHaveActed: false, retryAfterSeconds: 900 },
  { kind: 'unavailable', code: 'timed_out', mayHaveActed: true, retryAfterSeconds: null },
  { kind: 'unavailable', code: 'server_error', mayHaveActed: true, retryAfterSeconds: 7 },
);
const mishaps: Arbitrary<readonly Mishap[]> = array(
  record({
    crashed: boolean(),
    failure: failures,
    drawn: double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  }),
  { minLength: 1, maxLength: 30 },
);
const providers: Arbitrary<ProviderTraits> = record({
  rotation: constantFrom('none', 'grace', 'strict', 'unknown'),
  graceSeconds: constantFrom(1, 30, 3_600),
  mintsFromCredential: boolean(),
});
const connections: Arbitrary<ClaimedConnection> = record({
  lifeS: option(integer({ min: -100, max: 100_000 })),
  hasToken: boolean(),
  refreshTokenKept: option(boolean()),
  isReported: boolean(),
}).map(({ lifeS, hasToken, refreshTokenKept, isReported }) => ({
  ...aConnection({ refreshTokenKept, reportedVersion: isReported ? 1 : null }),
  ...(hasToken ? {} : { tokenVersion: 0, sealedToken: null }),
  expiresAt: hasToken && lifeS !== null ? inSeconds(lifeS) : null,
  crashed: false,
  unansweredS: null,
}));

/** A lease was taken, and nobody came back from it before its end. */
function afterCrash({ crashes, unansweredS }: ClaimedConnection): Partial<ClaimedConnection> {
  return { crashed: true, crashes: crashes + 1, unansweredS: (unansweredS ?? 0) + LEASE_S };
}

/** Lets one attempt after the other go wrong, each as soon as it is due, until nothing is due any more. */
function play(connection: ClaimedConnection, provider: ProviderTraits, script: readonly Mishap[]): Settled[] {
  const story: Settled[] = [];
  let row = connection;
  for (const mishap of script) {
    const before = mishap.crashed ? { ...row, ...afterCrash(row) } : { ...row, crashed: false };
    const after =
      settleBeforeAsking(before, provider) ??
      settleFailure(before, mishap.failure, provider, () => mishap.drawn);
    story.push({ before, mishap, after });
    if (after.renewInS === null) break;
    const unansweredS = after.unanswered ? (before.unansweredS ?? 0) + after.renewInS : null;
    row = { ...before, ...after, unansweredS, now: new Date(before.now.getTime() + after.renewInS * 1_000) };
  }
  return story;
}

/** Every attempt of every story keeps the promise. */
function holds(promise: (settled: Settled, provider: ProviderTraits) => boolean): void {
  assert(
    property(connections, providers, mishaps, (connection, provider, script) =>
      play(connection, provider, script).every((settled) => promise(settled, provider)),
    ),
    { numRuns: 1_500 },
  );
}

describe('whatever goes wrong, in whatever order', () => {
  it('the next attempt is never NaN, negative or infinite', () => {
    holds(({ after }) => after.renewInS === null || (Number.isFinite(after.renewInS) && after.renewInS >= 0));
  });

  it('failures are counted, one by one', () => {
    holds(({ before, after }) => after.consecutiveFailures === before.consecutiveFailures + 1);
  });

  it('refusals only grow', () => {
    holds(({ before, after }) => after.refusals >= before.refusals && after.refusals <= before.refusals + 1);
  });

  it('only a dead grant is left alone, and a stored credential never is', () => {
    holds(({ after }, { mintsFromCredential }) =>
      after.renewInS === null ? after.status === DEAD_GRANT && !mintsFromCredential : true,
    );
    holds(({ after }, { mintsFromCredential }) =>
      after.status === DEAD_GRANT && !mintsFromCredential ? after.renewInS === null : true,
    );
  });

  it('a grant dies of a refusal or of lost attempts, never of an absent provider or our own registration', () => {
    holds(({ before, mishap, after }) => {
      if (after.status !== DEAD_GRANT || before.status === DEAD_GRANT) return true;
      return mishap.failure.kind.startsWith('grant_') || before.crashes > 3;
    });
  });

  it('a grace lets a refresh token be sent again while it lasts, and no longer', () => {
    holds(({ before, after }, provider) => {
      const { rotation, graceSeconds, mintsFromCredential } = provider;
      const { unansweredS, refreshTokenKept, unknownOutcome } = before;
      if (rotation !== 'grace' || mintsFromCredential || refreshTokenKept === true) return true;
      if (unansweredS === null || unansweredS < graceSeconds) return after.lastError !== 'lost_in_flight';
      const canWait = !isReported(before) && remainingSeconds(before) > 45 && before.expiresAt !== null;
      const isPutOff = after.lastError === 'lost_in_flight' && after.renewInS !== 0;
      return unknownOutcome !== null || !canWait || isPutOff;
    });
  });

  it('every status has a reason but active', () => {
    holds(({ after }) => (after.status === 'active') === (after.statusReason === null));
  });

  it('a connection backs off for at most 5 min, unless the provider, a suspicion or a put-off says more', () => {
    holds(({ before, mishap, after }) => {
      const { failure } = mishap;
      const isPlain = failure.kind === 'misconfigured' || failure.kind === 'unavailable';
      const asked = failure.kind === 'unavailable' ? (failure.retryAfterSeconds ?? 0) : 0;
      if (!isPlain || after.renewInS === null || after.unknownOutcome !== null) return true;
      return before.status === DEAD_GRANT || after.renewInS <= Math.max(300, asked);
    });
  });

  it('what may have been spent is not sent again before the token in hand is nearly gone', () => {
    holds(({ before, mishap: { failure }, after }, provider) => {
      if (isResendSafe(before, provider) || after.renewInS === null) return true;
      // A token that was reported with a 401 serves nobody, so there is nothing to wait for.
      if (isReported(before)) return true;
      const isLost = failure.kind === 'unavailable' && failure.mayHaveActed;
      const isFirstCrash = before.crashed && before.unknownOutcome === null;
      if (!isLost && !isFirstCrash) return true;
      const left = remainingSeconds(before);
      return !Number.isFinite(left) || left <= 45 || after.renewInS >= left - 45;
    });
  });

  it('what may have been spent is never merely suspected: its first refusal is its last', () => {
    holds(({ before, mishap: { failure }, after }, provider) => {
      const isProbe = before.crashed || before.unknownOutcome !== null;
      if (!isProbe || isResendSafe(before, provider) || !failure.kind.startsWith('grant_')) return true;
      return (
        after.unknownOutcome !== null || (after.status === DEAD_GRANT && after.lastError === 'lost_in_flight')
      );
    });
  });

  it('an unknown outcome stays unknown until there is a verdict on the grant', () => {
    holds(({ before, mishap: { failure }, after }, provider) => {
      const wasUnknown =
        (before.crashed || before.unknownOutcome !== null) && !isResendSafe(before, provider);
      if (!wasUnknown || failure.kind.startsWith('grant_') || after.status === DEAD_GRANT) return true;
      return after.unknownOutcome !== null;
    });
  });
});
