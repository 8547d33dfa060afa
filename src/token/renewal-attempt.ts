import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import {
  LeaseRanOut,
  type IssuedToken,
  type Outcome,
  type TokenProvider,
} from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { VaultError } from '../vault/vault.js';
import { placeOf, type ClaimedConnection, type Connection } from './connection.js';
import { GrantKeeper } from './grant-keeper.js';
import type { BegunCalls } from './calls-in-flight.js';
import { FailureKeeper } from './failure-keeper.js';
import type { Written } from './kept-row.js';
import { ProviderHealth } from './provider-health.js';
import { leaseSeconds, type Room } from './room.js';
import {
  ownTrouble,
  resendableForS,
  settleBeforeAsking,
  unknownAfter,
  type ProviderTraits,
} from './transition.js';

/** Milliseconds between tries to write down an answer while the database is away. */
const REWRITE_MS = 500;

/** Is told how a renewal goes on. */
export interface Watch {
  /**
   * Gets the row as it will be, where a token has come and the database is away: those who wait for it are answered from
   * memory while it is still being written.
   */
  readonly serveEarly: (connection: Connection) => void;
  /** The call is over, and all is well: its place is free while what it brought is written down. */
  readonly answered: () => void;
}

/** A lease in hand, and what was known of the provider when it was taken. */
export interface Claim {
  readonly claimed: ClaimedConnection;
  /** Monotonic milliseconds right before the lease was asked for. */
  readonly claimedAt: number;
  readonly room: Room;
  readonly begun: BegunCalls;
}

/**
 * One claimed connection through ask and keep. The call to the provider runs in no transaction and holds no connection
 * of the pool; every outcome is written under the fence of the claim.
 */
@Injectable()
export class RenewalAttempt {
  readonly #logger = new Logger('Renewal');
  /** What the log says already of providers, for as long as it is so. */
  readonly #told = new Set<string>();

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly keeper: GrantKeeper,
    private readonly failures: FailureKeeper,
    private readonly health: ProviderHealth,
    private readonly clock: Clock,
  ) {}

  /**
   * Renews under the lease of `claimed`, taken at `claimedAt` (monotonic). Resolves to what the row became, undefined
   * where the fence refused it. Never throws for what a provider does.
   */
  async run(claim: Claim, { serveEarly, answered }: Watch): Promise<Written | undefined> {
    const { claimed, claimedAt, room } = claim;
    const provider = this.registry.get(claimed.provider);
    const traits = traitsOf(provider);
    const early = settleBeforeAsking(claimed, traits);
    if (early) return this.#written(claimed, () => this.failures.keep(claimed, early), early.lastError);

    const credentials = this.health.credentialsFingerprint(provider);
    const outcome = await this.#ask(provider, claim);
    // The row's times are those of the claim; what follows counts from now.
    const now = new Date(claimed.now.getTime() + this.clock.monotonic() - claimedAt);
    this.health.note(provider, outcome);
    // Of a process that was stopped for longer than its lease no call came to an end in time: that is not the provider's doing.
    const isOvertime = this.clock.monotonic() - claimedAt > leaseSeconds(provider.settings) * 1_000;
    const keepHealth = async (): Promise<void> => {
      if (isOvertime && outcome.kind === 'unavailable') return;
      await this.health.keep(provider, room, outcome, claimed.id, credentials);
    };
    if (outcome.kind === 'issued') {
      const { token } = outcome;
      // What a failure changes is to be known before anybody takes its place.
      if (!room.pressed) answered();
      const write = async (): Promise<Written | undefined> => {
        const kept = await this.keeper.keepToken(provider, claimed, token);
        await keepHealth();
        return kept;
      };
      const whileAway = (): void => serveEarly(this.keeper.preview(provider, claimed, token, now));
      return this.#keepToken(provider, claimed, token, () =>
        this.#written(claimed, write, undefined, whileAway),
      );
    }
    // Nothing was sent and nothing is known: the next holder starts as if this claim had not been.
    if (outcome.code === 'lease_ran_out')
      return this.failures.release(claimed, unknownAfter(claimed, traits));
    const failure = ownTrouble(claimed, outcome, room.misconfigured);
    const write = async (): Promise<Written | undefined> => {
      if (failure === outcome) await keepHealth();
      return this.failures.settle({ ...claimed, now }, failure, traits);
    };
    return this.#written(claimed, write, outcome.code);
  }

  /** Gives back what was claimed and not begun. */
  async giveBack({ claimed }: Claim): Promise<void> {
    const traits = traitsOf(this.registry.get(claimed.provider));
    await this.failures.release(claimed, unknownAfter(claimed, traits));
  }

  async #ask(provider: TokenProvider, { claimed, claimedAt, room }: Claim): Promise<Outcome> {
    const { settings } = provider;
    const inLeaseMs = leaseSeconds(settings) * 1_000 - settings.timeoutMs;
    const lastSend = claimedAt + Math.min(inLeaseMs, resendableMs(claimed, traitsOf(provider)));
    try {
      const grant = await this.keeper.openGrant(claimed).catch((error: unknown) => {
        // Its key is closed to this replica, or the database away: another can, or a later try.
        throw error instanceof Problem ? new LeaseRanOut() : error;
      });
      return await provider.renew(grant, {
        companyId: claimed.companyId,
        knownDialect: room.renewalDialect,
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
    claimed: ClaimedConnection,
    token: IssuedToken,
    write: () => Promise<Written | undefined>,
  ): Promise<Written | undefined> {
    this.#tellOddities(provider, token);
    const kept = await write();
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
    write: () => Promise<Written | undefined>,
    failure?: string,
    whileAway?: () => void,
  ): Promise<Written | undefined> {
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

  #tellOddities({ name, mintsFromCredential }: TokenProvider, token: IssuedToken): void {
    const { lifetimeAssumed, lifetimeSeconds, refreshTokenKept } = token;
    this.#tellWhile(
      lifetimeAssumed,
      `${name}: told no usable expiry`,
      `; a lifetime of ${lifetimeSeconds} s is assumed`,
    );
    this.#tellWhile(
      refreshTokenKept === null && !mintsFromCredential,
      `${name}: gave a refresh token that cannot be sent`,
      '; the former is kept, and may be spent',
    );
  }

  /** Once for as long as it lasts: some providers never tell a lifetime. */
  #tellWhile(isSo: boolean, oddity: string, rest: string): void {
    if (!isSo) this.#told.delete(oddity);
    else if (!this.#told.has(oddity)) {
      this.#told.add(oddity);
      this.#logger.warn(`${oddity}${rest}`);
    }
  }

  #tell(claimed: ClaimedConnection, kept: Written | undefined, failure: string | undefined): void {
    const subject = `${claimed.provider} ${claimed.id}`;
    if (!kept) this.#logger.warn(`${subject}: not kept, somebody else changed it meanwhile`);
    else if (failure === undefined) this.#logger.debug(`${subject}: renewed, version ${kept.tokenVersion}`);
    else if (kept.status !== claimed.status) this.#logger.warn(`${subject}: ${kept.status} (${failure})`);
    else this.#logger.debug(`${subject}: not renewed (${failure})`);
  }
}

function traitsOf({ settings, mintsFromCredential }: TokenProvider): ProviderTraits {
  const { rotation, graceSeconds } = settings;
  return { rotation, graceSeconds, mintsFromCredential };
}

/** Milliseconds after its claim in which a resend is within the grace. A probe, which is not, may be sent at any time. */
function resendableMs(claimed: ClaimedConnection, traits: ProviderTraits): number {
  const seconds = resendableForS(claimed, traits);
  return seconds > 0 ? seconds * 1_000 : Infinity;
}

function unavailable(
  code: Extract<Outcome, { kind: 'unavailable' }>['code'],
  mayHaveActed: boolean,
): Outcome {
  return { kind: 'unavailable', code, mayHaveActed, retryAfterSeconds: null };
}
