import type { Attempt } from './attempt.js';
import type { Clocks } from './clocks.js';
import { GRACE_S, serialOf, type Grantor } from './grantor.js';
import { isNearlyGone, type Row } from './row.js';
import type { Scene } from './step.js';
import { freshTrail, mustBe, type Trail, type Turn } from './turn.js';

export const DEAD = 'reauthorization_required';
/** Of a timeout of 10 s, and leases twice as long. */
export const TIMEOUT_MS = 10_000;
export const LEASE_MS = 20_000;

/** What must be true of each connection after every turn, and of what was sent for it. */
export class ConnectionRules {
  readonly #trails = new Map<string, Trail>();

  constructor(
    private readonly scene: Scene,
    private readonly grantor: Grantor,
    private readonly clocks: Clocks,
  ) {}

  trailOf(company: string): Trail {
    let trail = this.#trails.get(company);
    if (!trail) this.#trails.set(company, (trail = freshTrail()));
    return trail;
  }

  check(turn: Turn): void {
    for (const attempt of turn.attempts) {
      if (turn.kind === 'claim') this.#claimed(turn, attempt);
      if (turn.kind === 'begin') this.#begun(turn, attempt);
    }
    for (const [company, after] of turn.after.rows) {
      const before = turn.before.rows.get(company);
      if (!before) continue;
      const trail = this.trailOf(company);
      this.#moved(turn, before, after, trail);
      if (after.status === DEAD && before.status !== DEAD) this.#died(turn, before, after, trail);
      this.#remember(turn, before, after, trail);
      this.#stands(after, trail);
    }
  }

  /** May what this grant was sent for be sent again, should no answer come? */
  isResendSafe({ company, now, refreshTokenKept }: Row): boolean {
    const { rotation, truth } = this.scene;
    if (rotation === 'none' || truth === 'minting' || refreshTokenKept === true) return true;
    const { unansweredSince } = this.trailOf(company);
    return rotation === 'grace' && (unansweredSince === null || now - unansweredSince < GRACE_S * 1_000);
  }

  #claimed({ before, wanting }: Turn, attempt: Attempt): void {
    const row = before.rows.get(attempt.company);
    if (!row) return;
    const trail = this.trailOf(attempt.company);
    const isDue = row.renewAt !== null && row.renewAt <= row.now + 1;
    const facts = (): unknown => ({ row, pass: attempt.pass, wanting });
    mustBe(
      row.leaseUntil === null || row.leaseUntil <= row.now,
      'a lease that holds is nobody else’s',
      facts,
    );
    mustBe(
      row.status !== 'paused' && row.status !== 'revoked',
      'what is paused or revoked is not asked for',
      facts,
    );
    mustBe(row.grant !== null, 'what has no grant is not asked for', facts);
    mustBe(isDue || attempt.pass !== 'calendar', 'the calendar takes what is due', facts);
    mustBe(
      (wanting ?? row.tokenVersion) >= row.tokenVersion,
      'what is newer already is not asked for',
      facts,
    );
    if (attempt.pass === 'nothing' && !isDue) {
      mustBe(!trail.hasAsked, 'callers cause one attempt, and the calendar the next', facts);
      mustBe(row.failures === 0, 'a caller keeps to a backoff', facts);
    }
    if (row.leaseOwner !== null) {
      trail.crashes += 1;
      trail.unansweredSince ??= trail.attempts.at(-1)?.atClaim.now ?? null;
    }
    trail.hasAsked = true;
    if (attempt.pass === 'backoff' || attempt.pass === 'everything') trail.isFreed = true;
    trail.attempts.push(attempt);
  }

  #begun({ before }: Turn, attempt: Attempt): void {
    const trail = this.trailOf(attempt.company);
    if (attempt.state === 'over' && attempt.timesSent === 0) trail.hasAsked = false;
    if (attempt.sentAt === null || attempt.sentGrant === null) return;
    const { claim, sentAt, sentGrant } = attempt;
    const row = before.rows.get(attempt.company);
    const isApart = claim.claimedAt <= this.clocks.apartAt;
    const facts = (): unknown => ({
      sentGrant,
      claimed: claim.claimed.leaseEpoch,
      row,
      crashes: trail.crashes,
    });
    mustBe(sentAt - claim.claimedAt <= LEASE_MS - TIMEOUT_MS, 'nothing is sent late in a lease', facts);
    mustBe(attempt.timesSent === 1, 'an attempt sends once', facts);
    // With a changed grant its lease was taken from under it: only that grant counts.
    if (row?.grantVersion === claim.claimed.grantVersion && !isApart) {
      mustBe(!trail.retired.has(sentGrant), 'what was traded for what is kept is never sent again', facts);
    }
    if (this.isResendSafe(attempt.atClaim) || isApart) return;
    mustBe(trail.crashes <= 3 || trail.isRevived, 'at most three probes after crashes', facts);
    if (trail.isFreed) return;
    const isUnknown = trail.attempts.some(
      (other) =>
        other !== attempt &&
        other.sentGrant === sentGrant &&
        other.timesSent > 0 &&
        other.isUnknown &&
        other.claim.claimedAt > this.clocks.apartAt,
    );
    if (isUnknown)
      mustBe(isNearlyGone(attempt.atClaim), 'what may be spent waits while the token in hand lives', facts);
  }

  #moved(turn: Turn, before: Row, after: Row, trail: Trail): void {
    const attempt = turn.attempts.find(({ company }) => company === after.company);
    const isOutside = turn.kind === 'adopt' || turn.kind === 'outside';
    const facts = (): unknown => ({
      turn: turn.kind,
      change: turn.change,
      before,
      after,
      outcome: attempt?.outcome,
    });
    const step = after.tokenVersion - before.tokenVersion;
    const isNewToken = after.token !== before.token && after.token !== null;
    mustBe(step === 0 || step === 1, 'versions grow by one', facts);
    mustBe((step === 1) === isNewToken, 'a version is a new token', facts);
    if (isNewToken && before.token !== null && after.token !== null)
      mustBe(serialOf(after.token) > serialOf(before.token), 'no token gives way to an older one', facts);
    mustBe(after.leaseEpoch >= before.leaseEpoch, 'the fence is only ever raised', facts);
    mustBe(
      isOutside || after.grantVersion === before.grantVersion,
      'only from outside comes another grant',
      facts,
    );
    if (before.status === 'revoked' && turn.kind !== 'adopt')
      mustBe(after.status === 'revoked', 'what is revoked stays so', facts);
    const hasChanged =
      step === 1 ||
      after.grant !== before.grant ||
      after.status !== before.status ||
      after.failures !== before.failures;
    if (isOutside || !hasChanged) return;
    mustBe(attempt !== undefined && turn.kind !== 'claim', 'nothing changes by itself', facts);
    if (attempt) mustBe(trail.commits === attempt.commitsBefore, 'who comes late changes nothing', facts);
    if (turn.kind !== 'deliver' || !attempt) return;
    const claimed = attempt.claim.claimed;
    mustBe(before.grantVersion === claimed.grantVersion, 'who comes late leaves another grant alone', facts);
    if (attempt.outcome?.kind !== 'issued')
      mustBe(
        String(before.leaseEpoch) === claimed.leaseEpoch,
        'only who holds the lease keeps a failure',
        facts,
      );
  }

  #died({ attempts, kind }: Turn, before: Row, after: Row, trail: Trail): void {
    const attempt = attempts.find(({ company }) => company === after.company);
    const facts = (): unknown => ({ before, after, outcome: attempt?.outcome, plan: attempt?.plan });
    if (!attempt) return mustBe(false, 'nothing dies by itself', facts);
    const safe = this.isResendSafe(attempt.atClaim);
    if (after.reason === 'lost_in_flight') {
      const others = trail.attempts.filter((other) => other !== attempt);
      mustBe(!safe, 'what may be sent twice is never lost in flight', facts);
      mustBe(
        kind === 'begin' || trail.crashes > 0 || others.some((other) => other.isUnknown),
        'what is lost was sent',
        facts,
      );
      if (kind === 'begin') mustBe(trail.crashes > 3, 'three probes come before the end', facts);
    } else {
      mustBe(
        attempt.outcome?.kind.startsWith('grant_') === true,
        'a grant dies of what is said of it',
        facts,
      );
    }
    if (kind === 'begin' || before.grant === null) return;
    mustBe(
      attempt.isLie || !this.grantor.lives(before.grant),
      'what lives at the provider lives here',
      facts,
    );
    if (attempt.outcome?.kind === 'grant_doubtful' && after.reason !== 'lost_in_flight') {
      const isReported = before.reportedVersion === before.tokenVersion;
      mustBe(
        after.refusals > 3 || isReported,
        'a bare refusal is believed when it comes again and again',
        facts,
      );
    }
  }

  #remember(turn: Turn, before: Row, after: Row, trail: Trail): void {
    const isCommit =
      after.grant !== before.grant ||
      after.token !== before.token ||
      after.grantVersion !== before.grantVersion;
    const attempt = turn.attempts.find(({ company }) => company === after.company);
    const isEnded = before.leaseOwner !== null && after.leaseOwner === null;
    const isKept =
      turn.kind === 'deliver' && attempt?.outcome?.kind === 'issued' && (attempt.isKept || isEnded);
    if (turn.kind === 'deliver' && attempt) {
      this.#kept(turn, before, after, attempt);
      this.#told(before, after, attempt);
      if (attempt.isKept && attempt.isUnknown) trail.unansweredSince ??= attempt.atClaim.now;
    }
    const isDeath = before.status !== DEAD || (attempt?.isKept && attempt.outcome?.kind.startsWith('grant_'));
    if (after.status === DEAD && isDeath) trail.unansweredSince = null;
    if (turn.kind === 'report' && turn.company === after.company) trail.hasAsked = false;
    if (turn.change === 'revive' && before.status === DEAD) {
      trail.isFreed = trail.isRevived = true;
      trail.hasAsked = false;
    }
    if (after.grant === null || after.status !== DEAD || after.renewAt === null) trail.isRevived = false;
    if (!isCommit && !isKept) return;
    trail.commits += 1;
    trail.crashes = 0;
    trail.unansweredSince = null;
    trail.attempts = [];
    trail.isFreed = turn.kind === 'adopt' && after.grant === before.grant;
    if (after.token !== before.token || turn.kind === 'adopt') trail.hasAsked = false;
    if (turn.kind === 'deliver' && before.grant !== null && before.grant !== after.grant)
      trail.retired.add(before.grant);
  }

  /** An answer that brought something must not be dropped where nobody brought anything newer. */
  #kept(turn: Turn, before: Row, after: Row, attempt: Attempt): void {
    const { given, claim, commitsBefore } = attempt;
    if (!given || attempt.state !== 'over') return;
    const facts = (): unknown => ({ given, before, after, crash: turn.change });
    if (before.status === 'revoked') {
      return mustBe(
        this.grantor.givenBack.has(given.token),
        'what comes for a revoked one is given back',
        facts,
      );
    }
    const isFirst = this.trailOf(after.company).commits === commitsBefore;
    if (!isFirst || before.grantVersion !== claim.claimed.grantVersion) return;
    mustBe(after.token === given.token, 'a token that came is kept', facts);
    mustBe(given.grant === null || after.grant === given.grant, 'a grant that came is kept', facts);
    mustBe(
      after.failures === 0 && after.unknown === null && after.leaseOwner === null,
      'a token ends all doubt',
      facts,
    );
    const { issuedAt, expiresAt, renewAt } = after;
    if (expiresAt === null || issuedAt === null || renewAt === null) return;
    mustBe(expiresAt >= issuedAt, 'a token ends after it begins', facts);
    const isFresh = expiresAt - issuedAt > 90_000 && after.token !== before.token;
    if (isFresh) mustBe(renewAt <= expiresAt - 44_999, 'a token is renewed in time', facts);
  }

  /** The refusal of a probe tells where the lost answer went. */
  #told(before: Row, after: Row, { atClaim, claim, outcome, isKept }: Attempt): void {
    const isProbe = (atClaim.unknown !== null || claim.claimed.crashed) && !this.isResendSafe(atClaim);
    if (!isProbe || !isKept || outcome?.kind.startsWith('grant_') !== true) return;
    const facts = (): unknown => ({ before, after, outcome });
    mustBe(after.status === DEAD && after.reason === 'lost_in_flight', 'a refused probe is the last', facts);
  }

  #stands(row: Row, trail: Trail): void {
    const facts = (): unknown => ({ row, trail: { ...trail, attempts: trail.attempts.length } });
    const { status, renewAt, expiresAt, now } = row;
    mustBe((status === 'active') === (row.reason === null), 'every status has a reason but active', facts);
    mustBe((row.leaseOwner === null) === (row.leaseUntil === null), 'a lease has an owner and an end', facts);
    mustBe(row.failures > 0 || row.lastError === null, 'an error is counted', facts);
    mustBe(row.attempts >= 0, 'attempts are counted', facts);
    if (status === 'paused' || status === 'revoked')
      mustBe(renewAt === null, 'nothing is due that is paused', facts);
    if (status === 'revoked')
      mustBe(row.grant === null && row.token === null, 'nothing is left of what is revoked', facts);
    if (status === DEAD) {
      mustBe(row.unknown === null || trail.isRevived, 'what is dead is known', facts);
      if (this.scene.truth !== 'minting')
        mustBe(renewAt === null || trail.isRevived, 'what is dead is left alone', facts);
      else
        mustBe(
          renewAt !== null && renewAt <= now + 3_660_000,
          'a credential is tried hourly even when dead',
          facts,
        );
    }
    if ((status !== 'active' && status !== 'suspect') || row.grant === null) return;
    const isEndless = row.token !== null && expiresAt === null && row.failures === 0;
    mustBe(renewAt !== null || isEndless, 'nothing that lives is forgotten', facts);
    const latest = Math.max(now + 1_860_000, expiresAt ?? 0);
    mustBe((renewAt ?? 0) <= latest, 'nothing that lives is put off beyond its end', facts);
  }
}
