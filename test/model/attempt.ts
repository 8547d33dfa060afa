import type { Outcome } from '../../src/provider/token-provider.js';
import type { Failure } from '../../src/provider/verdict.js';
import { Secret } from '../../src/shared/secret.js';
import type { Claim } from '../../src/token/renewal-attempt.js';
import type { StandingClock } from './clocks.js';
import type { Given, Grantor } from './grantor.js';
import type { Row } from './row.js';
import type { Plan, Reaction } from './step.js';

/** Who claimed: the calendar, or somebody who waits. */
export type Pass = 'calendar' | 'nothing' | 'backoff' | 'everything';

const FAILURES: Readonly<Record<Exclude<Reaction, 'honest' | 'same_token' | 'bare_refusal'>, Failure>> = {
  refused_wrongly: { kind: 'grant_refused', code: 'invalid_grant' },
  misconfigured: { kind: 'misconfigured', code: 'client_refused' },
  away: { kind: 'unavailable', code: 'not_reached', mayHaveActed: false, retryAfterSeconds: null },
  lost_acted: { kind: 'unavailable', code: 'timed_out', mayHaveActed: true, retryAfterSeconds: null },
  lost_idle: { kind: 'unavailable', code: 'timed_out', mayHaveActed: true, retryAfterSeconds: null },
  rate_limited: { kind: 'unavailable', code: 'rate_limited', mayHaveActed: false, retryAfterSeconds: null },
};

export interface How {
  readonly replica: number;
  readonly pass: Pass;
  readonly plan: Plan;
  /** The row right before it was claimed, and how often anything had been kept for it. */
  readonly atClaim: Row;
  readonly commitsBefore: number;
}

/** One claim, from its lease to whatever became of it. */
export class Attempt {
  state: 'claimed' | 'stalled' | 'sent' | 'over' | 'lost' = 'claimed';
  sentGrant: string | null = null;
  sentAt: number | null = null;
  timesSent = 0;
  outcome: Outcome | null = null;
  given: Given | null = null;
  /** What the provider said is not what its books say. */
  isLie = false;
  run: Promise<unknown> = Promise.resolve();
  /** The engine says that what came of it was written down. */
  isKept = false;
  readonly released: Promise<void>;
  /** The provider was reached, and waits to be sent something. */
  readonly asked: Promise<void>;
  readonly left: Promise<void>;
  readonly #answered: Promise<void>;
  release: () => void = () => undefined;
  answer: () => void = () => undefined;
  #ask: () => void = () => undefined;
  #leave: () => void = () => undefined;

  constructor(
    readonly claim: Claim,
    private readonly how: How,
    private readonly clock: StandingClock,
  ) {
    this.released = new Promise((resolve) => (this.release = resolve));
    this.#answered = new Promise((resolve) => (this.answer = resolve));
    this.asked = new Promise((resolve) => (this.#ask = resolve));
    this.left = new Promise((resolve) => (this.#leave = resolve));
  }

  get replica(): number {
    return this.how.replica;
  }

  get pass(): Pass {
    return this.how.pass;
  }

  get plan(): Plan {
    return this.how.plan;
  }

  get atClaim(): Row {
    return this.how.atClaim;
  }

  get commitsBefore(): number {
    return this.how.commitsBefore;
  }

  get company(): string {
    return this.claim.claimed.companyId;
  }

  asks(grant: string): void {
    this.#ask();
    this.sentGrant = grant;
    this.state = 'stalled';
  }

  /** Too late to send anything. */
  gaveUp(): void {
    this.#leave();
  }

  /** The call is made, and does at the provider what it does; the answer comes when the story says so. */
  async sends(grantor: Grantor, isKnown: boolean): Promise<Outcome> {
    this.state = 'sent';
    this.sentAt = this.clock.monotonic();
    this.timesSent += 1;
    const outcome = this.#react(grantor, this.sentGrant ?? '', isKnown);
    this.outcome = outcome;
    this.#leave();
    await this.#answered;
    return outcome;
  }

  /** Nobody knows what it did: no answer came, or none that says so. */
  get isUnknown(): boolean {
    if (this.state === 'lost' || this.state === 'sent' || this.state === 'stalled') return true;
    return this.outcome?.kind === 'unavailable' && this.outcome.mayHaveActed;
  }

  #react(grantor: Grantor, grant: string, isKnown: boolean): Outcome {
    const { reaction, retryAfter } = this.plan;
    this.isLie = (reaction === 'refused_wrongly' || reaction === 'bare_refusal') && grantor.lives(grant);
    switch (reaction) {
      case 'honest':
      case 'same_token':
        return this.#trade(grantor, grant, reaction === 'same_token');
      case 'bare_refusal': {
        const code = 'refused_without_code';
        return isKnown ? { kind: 'grant_doubtful', code } : { kind: 'misconfigured', code };
      }
      case 'rate_limited':
        return { ...FAILURES.rate_limited, retryAfterSeconds: retryAfter } as Outcome;
      case 'lost_acted':
        grantor.trade(grant);
        return FAILURES.lost_acted;
      case 'refused_wrongly':
      case 'misconfigured':
      case 'away':
      case 'lost_idle':
        return FAILURES[reaction];
    }
  }

  #trade(grantor: Grantor, grant: string, isSame: boolean): Outcome {
    const last = grantor.lastOf(grant);
    const given = grantor.trade(grant);
    if (!given) return { kind: 'grant_refused', code: 'invalid_grant' };
    this.given = isSame && last ? { ...given, token: last } : given;
    const isMinted = grantor.truth === 'minting';
    return {
      kind: 'issued',
      token: {
        accessToken: new Secret(this.given.token),
        tokenType: 'Bearer',
        lifetimeSeconds: this.plan.life,
        lifetimeAssumed: false,
        scopes: null,
        grant: given.grant === null ? null : new Secret(given.grant),
        refreshTokenKept: isMinted ? null : given.grant === null,
        sentAt: this.clock.monotonic(),
        dialect: 'model',
      },
    };
  }
}
