import { Injectable, Logger } from '@nestjs/common';
import { ProviderObservations } from '../provider/observations.js';
import type { Outcome, TokenProvider } from '../provider/token-provider.js';
import type { Failure } from '../provider/verdict.js';
import { Metrics } from '../telemetry/metrics.js';
import { Vault } from '../vault/vault.js';
import type { BegunCalls } from './calls-in-flight.js';
import { rateLimitedSeconds } from './pace.js';
import { PaceStore, type Asking } from './pace.store.js';
import { ProviderStateStore } from './provider-state.store.js';
import type { Room } from './room.js';

/** Failures that happened on this side: they say nothing of the provider. */
const OURS: ReadonlySet<string> = new Set([
  'lease_ran_out',
  'grant_unreadable',
  'internal_error',
  'no_refresh_token',
]);

/** What answers say of a provider, whichever connection they were for: whether it knows us, and how fast it may be asked. */
@Injectable()
export class ProviderHealth {
  readonly #logger = new Logger('Providers');

  constructor(
    private readonly states: ProviderStateStore,
    private readonly pace: PaceStore,
    private readonly observations: ProviderObservations,
    private readonly metrics: Metrics,
    private readonly vault: Vault,
  ) {}

  /** Who asks it, and with which credentials. */
  asking(provider: TokenProvider): Asking {
    return { settings: provider.settings, credentials: this.credentialsFingerprint(provider) };
  }

  /** False while there are grants that this replica could claim and not open: others can. */
  get opensGrants(): boolean {
    return this.vault.opensAll;
  }

  /** Tells one set of client credentials from another. */
  credentialsFingerprint(provider: TokenProvider): string {
    return this.vault.fingerprint(provider.credentialsInForce());
  }

  /** A call is over, and its place free. */
  end(begun: BegunCalls, room: Room): void {
    this.pace.end(begun, room.pressed);
  }

  /** Nothing is to be done here: tells the other replicas so, where they do not know it yet. */
  async rest({ name }: TokenProvider): Promise<void> {
    await this.pace.tellEnded(name);
  }

  /** Counts an outcome, as soon as it is there. */
  note(provider: TokenProvider, outcome: Outcome): void {
    this.observations.renewalSettled(provider.name, outcome);
    this.metrics.renewalSettled(provider.name, outcome.kind === 'issued' ? 'renewed' : outcome.code);
  }

  /**
   * Writes down what an outcome changes: nothing, in the rule. `credentials` is the fingerprint of those that were used. Throws
   * Problem `store_unavailable`; again does no harm.
   */
  async keep(
    provider: TokenProvider,
    room: Room,
    outcome: Outcome,
    connectionId: string,
    credentials: string,
  ): Promise<void> {
    if (outcome.kind === 'unavailable') return this.#keepFailure(provider, room, outcome, connectionId);
    if (outcome.kind === 'misconfigured') {
      if (await this.states.markMisconfigured(provider.name, outcome.code, credentials)) {
        this.#logger.error(
          `${provider.name}: refuses the broker's registration (${outcome.code}); probing until it does not`,
        );
      }
      return;
    }
    if (outcome.kind === 'issued' && (room.misconfigured || room.renewalDialect !== outcome.token.dialect)) {
      if (room.misconfigured) this.#logger.log(`${provider.name}: accepts the broker again`);
      await this.markWorking(provider, outcome.token.dialect);
    }
    // A verdict on a grant is as good a sign as a token, unless it was ours and nobody was asked.
    const wasAsked = outcome.kind === 'issued' || !OURS.has(outcome.code);
    if (room.pressed && wasAsked) await this.pace.worked(provider.settings, room);
  }

  /** Something was minted in this dialect: it takes our registration. */
  async markWorking(provider: TokenProvider, dialect: string): Promise<void> {
    await this.states.markWorking(provider.name, dialect);
  }

  /** What was brought here was taken, or not; nothing of it is about a connection. Throws Problem `store_unavailable`. */
  async keepExchange(provider: TokenProvider, room: Room, failure: Failure | undefined): Promise<void> {
    if (failure?.kind === 'unavailable' && failure.code === 'rate_limited') {
      return this.#keepRateLimit(provider, failure.retryAfterSeconds);
    }
    if (room.pressed && !failure) await this.pace.worked(provider.settings, room);
  }

  /** It said that it is asked too often. */
  async #keepRateLimit({ settings }: TokenProvider, retryAfterS: number | null): Promise<void> {
    const seconds = rateLimitedSeconds(retryAfterS);
    if (!(await this.pace.rateLimited(settings, seconds))) return;
    this.#logger.warn(
      `${settings.name}: too many requests (429); nobody asks it for ${Math.ceil(seconds)} s`,
    );
  }

  async #keepFailure(
    provider: TokenProvider,
    room: Room,
    { code, retryAfterSeconds }: Extract<Outcome, { kind: 'unavailable' }>,
    connectionId: string,
  ): Promise<void> {
    if (OURS.has(code)) return;
    if (code === 'rate_limited') return this.#keepRateLimit(provider, retryAfterSeconds);
    if (await this.pace.failed(provider.settings, connectionId, room)) {
      this.#logger.warn(`${provider.name}: fails again and again (${code}); left alone for a moment`);
    }
  }
}
