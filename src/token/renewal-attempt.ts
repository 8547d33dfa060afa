import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { ProviderObservations } from '../provider/observations.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import {
  LeaseRanOut,
  type IssuedToken,
  type Outcome,
  type TokenProvider,
} from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { VaultError } from '../vault/vault.js';
import { placeOf, type ClaimedConnection, type Connection } from './connection.js';
import { GrantKeeper } from './grant-keeper.js';
import type { ProviderState } from './provider-state.store.js';
import { leaseSeconds } from './renewal-gate.js';
import { settleBeforeAsking, settleFailure, unknownAfter, type ProviderTraits } from './transition.js';

/** Milliseconds between tries to write down an answer while the database is away. */
const REWRITE_MS = 500;

/** A lease in hand, and what was known of the provider when it was taken. */
export interface Claim {
  readonly claimed: ClaimedConnection;
  /** Monotonic milliseconds right before the lease was asked for. */
  readonly claimedAt: number;
  readonly state: ProviderState;
}

/**
 * One claimed connection through ask and keep. The call to the provider runs in no transaction and holds no connection
 * of the pool; every outcome is written under the fence of the claim.
 */
@Injectable()
export class RenewalAttempt {
  readonly #logger = new Logger('Renewal');
  /** The providers of which the log says already that a lifetime has to be assumed. */
  readonly #assuming = new Set<string>();

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly keeper: GrantKeeper,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    private readonly observations: ProviderObservations,
  ) {}

  /**
   * Renews under the lease of `claimed`, taken at `claimedAt` (monotonic). Resolves to the row as it is kept, undefined
   * where the fence refused it. Never throws for what a provider does.
   *
   * @param serveEarly gets the row as it will be, where a token has come and the database is away: those who wait for
   *   it are answered from memory while it is still being written
   */
  async run(
    { claimed, claimedAt, state }: Claim,
    serveEarly: (connection: Connection) => void,
  ): Promise<Connection | undefined> {
    const provider = this.registry.get(claimed.provider);
    if (claimed.crashed) this.metrics.crashTakenOver(provider.name);
    const early = settleBeforeAsking(claimed, traitsOf(provider));
    if (early) return this.#written(claimed, () => this.keeper.keepFailure(claimed, early), early.lastError);

    const credentials = this.keeper.credentialsFingerprint(provider);
    const outcome = await this.#ask(provider, claimed, claimedAt, state);
    // The row's times are those of the claim; what follows counts from now.
    const now = new Date(claimed.now.getTime() + this.clock.monotonic() - claimedAt);
    this.observations.renewalSettled(provider.name, outcome);
    this.metrics.renewalSettled(provider.name, outcome.kind === 'issued' ? 'renewed' : outcome.code);
    if (outcome.kind === 'issued') {
      const { token } = outcome;
      return this.#keepToken(provider, { claimed, claimedAt, state }, token, () => {
        serveEarly(this.keeper.preview(provider, claimed, token, now));
      });
    }
    // Nothing was sent and nothing is known: the next holder starts as if this claim had not been.
    if (outcome.code === 'lease_ran_out') {
      const released = await this.keeper.release(claimed, unknownAfter(claimed, traitsOf(provider)));
      if (!released) this.metrics.leaseLost(provider.name);
      return released;
    }
    const settled = settleFailure({ ...claimed, now }, outcome, traitsOf(provider), Math.random);
    if (outcome.kind === 'misconfigured' && !state.misconfigured) {
      this.#logger.error(
        `${provider.name}: refuses the broker's registration (${outcome.code}); probing until it does not`,
      );
    }
    return this.#written(
      claimed,
      async () => {
        if (outcome.kind === 'misconfigured') {
          await this.keeper.markMisconfigured(provider, outcome.code, credentials);
        }
        return this.keeper.keepFailure(claimed, settled);
      },
      outcome.code,
    );
  }

  async #ask(
    provider: TokenProvider,
    claimed: ClaimedConnection,
    claimedAt: number,
    state: ProviderState,
  ): Promise<Outcome> {
    const lastSend = claimedAt + leaseSeconds(provider) * 1_000 - provider.settings.timeoutMs;
    try {
      return await provider.renew(this.keeper.openGrant(claimed), {
        companyId: claimed.companyId,
        knownDialect: state.renewalDialect,
        beforeSending: () => {
          if (this.clock.monotonic() > lastSend) throw new LeaseRanOut();
        },
      });
    } catch (error) {
      if (error instanceof LeaseRanOut) return unavailable('lease_ran_out', false);
      // A grant that does not open, or a mistake of ours: loud, and no reason to lose the connection.
      const where = `${placeOf(claimed, 'sealed_grant').table} ${claimed.id}`;
      this.#logger.error(
        `${where}: ${error instanceof Error ? `${error.name}: ${error.message}` : 'unknown error'}`,
      );
      return unavailable(
        error instanceof VaultError ? 'grant_unreadable' : 'internal_error',
        !(error instanceof VaultError),
      );
    }
  }

  async #keepToken(
    provider: TokenProvider,
    { claimed, state }: Claim,
    token: IssuedToken,
    whileAway: () => void,
  ): Promise<Connection | undefined> {
    const isNews = state.misconfigured || state.renewalDialect !== token.dialect;
    if (state.misconfigured) this.#logger.log(`${provider.name}: accepts the broker again`);
    this.#tellAssumed(provider, token);
    const write = async (): Promise<Connection | undefined> => {
      const kept = await this.keeper.keepToken(provider, claimed, token);
      if (isNews) await this.keeper.markWorking(provider, token.dialect);
      return kept;
    };
    const kept = await this.#written(claimed, write, undefined, whileAway);
    if (!kept) {
      await this.#disown(provider, claimed, token).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : 'unknown error';
        this.#logger.error(`${claimed.id}: what came may live on at the provider (${why})`);
      });
    }
    return kept;
  }

  /** A connection that was revoked meanwhile: what came for it is known to nobody else, and must not live on. */
  async #disown(provider: TokenProvider, claimed: ClaimedConnection, token: IssuedToken): Promise<void> {
    if (!provider.revoke || !(await this.keeper.isRevoked(claimed))) return;
    const { upstream } = await provider.revoke(token.grant, token.accessToken);
    const subject = `${claimed.provider} ${claimed.id}`;
    if (upstream === 'revoked') this.#logger.log(`${subject}: renewed while it was revoked; given back`);
    else
      this.#logger.error(`${subject}: renewed while it was revoked; what came lives on there (${upstream})`);
  }

  /** Writes until it holds: an answer that came may have spent a refresh token and must not be lost with a failed write. */
  async #written(
    claimed: ClaimedConnection,
    write: () => Promise<Connection | undefined>,
    failure?: string,
    whileAway?: () => void,
  ): Promise<Connection | undefined> {
    for (let waited = false; ; waited = true) {
      try {
        const kept = await write();
        this.#tell(claimed, kept, failure);
        return kept;
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'store_unavailable')) throw error;
        if (!waited) this.#logger.warn(`${claimed.id}: the database is away; the answer waits to be written`);
        whileAway?.();
        await sleep(REWRITE_MS);
      }
    }
  }

  /** Once for as long as it lasts: some providers never tell a lifetime. */
  #tellAssumed({ name }: TokenProvider, { lifetimeAssumed, lifetimeSeconds }: IssuedToken): void {
    if (!lifetimeAssumed) this.#assuming.delete(name);
    else if (!this.#assuming.has(name)) {
      this.#assuming.add(name);
      this.#logger.warn(`${name}: told no usable expiry; a lifetime of ${lifetimeSeconds} s is assumed`);
    }
  }

  #tell(claimed: ClaimedConnection, kept: Connection | undefined, failure: string | undefined): void {
    const subject = `${claimed.provider} ${claimed.id}`;
    this.#measure(claimed, kept, failure);
    if (!kept) this.#logger.warn(`${subject}: not kept, somebody else changed it meanwhile`);
    else if (failure === undefined) this.#logger.debug(`${subject}: renewed, version ${kept.tokenVersion}`);
    else if (kept.status !== claimed.status) this.#logger.warn(`${subject}: ${kept.status} (${failure})`);
    else this.#logger.debug(`${subject}: not renewed (${failure})`);
  }

  /** The life that the former token had left counts only where there was one, and it has a successor now. */
  #measure(claimed: ClaimedConnection, kept: Connection | undefined, failure: string | undefined): void {
    const { provider, sealedToken, expiresAt, tokenVersion } = claimed;
    if (!kept) this.metrics.leaseLost(provider);
    else if (failure === undefined && sealedToken && expiresAt && kept.tokenVersion > tokenVersion) {
      this.metrics.tokenSucceeded(provider, (expiresAt.getTime() - kept.now.getTime()) / 1_000);
    }
  }
}

function traitsOf({ settings, mintsFromCredential }: TokenProvider): ProviderTraits {
  return { rotation: settings.rotation, mintsFromCredential };
}

function unavailable(
  code: Extract<Outcome, { kind: 'unavailable' }>['code'],
  mayHaveActed: boolean,
): Outcome {
  return { kind: 'unavailable', code, mayHaveActed, retryAfterSeconds: null };
}
