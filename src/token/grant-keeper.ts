import { Injectable } from '@nestjs/common';
import type { CredentialType, IssuedToken, OfferedToken, TokenProvider } from '../provider/token-provider.js';
import type { Actor } from '../shared/actor.js';
import { Clock } from '../shared/clock.js';
import type { Subject } from '../shared/ids.js';
import type { Secret, Sealed } from '../shared/secret.js';
import { Vault, VaultError } from '../vault/vault.js';
import { renewAfter } from './calendar.js';
import { isLiving, placeOf, type ClaimedConnection, type Connection } from './connection.js';
import { ConnectionStore } from './connection.store.js';
import type { AdoptedGrant, KeptToken, NotAdopted } from './kept-grant.js';
import type { KeptRow } from './kept-row.js';
import { LeaseStore } from './lease.store.js';
import { ProviderHealth } from './provider-health.js';

/** The same token with little life left is asked for again after this many seconds at the soonest. */
const SAME_TOKEN_LEAST_S = 10;

/** A grant from outside: a consent that was given, or what an operator keeps. */
export interface OutsideGrant {
  /**
   * What renewals are made from, in the provider's own form; `former` is what lies there, null where nothing does. Null:
   * nothing renews the token.
   */
  readonly grant: ((former: Secret | null) => Secret) | null;
  /** What makes it this one, to tell whether it is kept twice; null for a consent, and where all would be the same. */
  readonly credential: Secret | null;
  /** A person made it, and is to make another in time. */
  readonly madeByHand?: boolean;
  /** Null: those that are there stay. */
  readonly scopes: readonly string[] | null;
  /** The token that came with it, sent for at `sentAt` where it was asked for; null where there is none. */
  readonly token: (OfferedToken & Partial<Pick<IssuedToken, 'sentAt'>>) | null;
  /** The dialect in which a renewal would bring the same; null where the token came by another way. */
  readonly mintedIn?: string | null;
  /** Undefined: an operator's pause stays. */
  readonly paused?: boolean;
  readonly type?: CredentialType;
  readonly sharedExternally?: boolean;
  /** When the token expires, where a person said so. */
  readonly expiresAt?: Date | null;
  /** Leaves a connection alone that lives. */
  readonly unlessLiving?: boolean;
}

/** Between plain and sealed: seals what a provider issued for its row, and keeps it. */
@Injectable()
export class GrantKeeper {
  constructor(
    private readonly store: ConnectionStore,
    private readonly leases: LeaseStore,
    private readonly health: ProviderHealth,
    private readonly vault: Vault,
    private readonly clock: Clock,
  ) {}

  /** Throws a VaultError where it does not open, a Problem where that may be another time. */
  async openGrant(claimed: ClaimedConnection): Promise<Secret> {
    if (!claimed.sealedGrant) throw new Error('a connection without a grant cannot have been claimed');
    await this.vault.know(claimed.sealedGrant);
    return this.vault.open(claimed.sealedGrant, placeOf(claimed, 'sealed_grant'));
  }

  /** Keeps a renewal's token under the fence of its claim; undefined where the fence refuses it. */
  async keepToken(
    provider: TokenProvider,
    claimed: ClaimedConnection,
    token: IssuedToken,
  ): Promise<KeptRow | undefined> {
    const kept = this.#sealToken(provider, claimed, token);
    const isSame = kept.fingerprint === claimed.tokenFingerprint;
    return this.leases.keepToken(claimed, {
      ...kept,
      renewAfterS:
        isSame && kept.renewAfterS !== null
          ? Math.max(kept.renewAfterS, SAME_TOKEN_LEAST_S)
          : kept.renewAfterS,
      scopes: token.scopes,
      sealedGrant: token.grant && this.#sealGrant(claimed, token.grant),
      refreshTokenKept: token.refreshTokenKept,
    });
  }

  /** The connection as `keepToken` will leave it, at `now`, while the database cannot be told. */
  preview(provider: TokenProvider, claimed: ClaimedConnection, token: IssuedToken, now: Date): Connection {
    const kept = this.#sealToken(provider, claimed, token);
    const after = (seconds: number | null): Date | null =>
      seconds === null ? null : new Date(now.getTime() + (seconds - kept.ageS) * 1_000);
    return {
      ...claimed,
      now,
      status: 'active',
      statusReason: null,
      // Served as stale, since it is not known yet to anybody else.
      lastError: 'store_unavailable',
      consecutiveFailures: 1,
      tokenVersion: claimed.tokenVersion + (kept.fingerprint === claimed.tokenFingerprint ? 0 : 1),
      sealedToken: kept.sealedToken,
      tokenType: kept.tokenType,
      tokenFingerprint: kept.fingerprint,
      issuedAt: after(0),
      expiresAt: after(kept.lifetimeS),
      renewAt: after(kept.renewAfterS),
      renewedLifetimeS: kept.lifetimeS,
      scopes: token.scopes ?? claimed.scopes,
    };
  }

  async isRevoked({ id }: ClaimedConnection): Promise<boolean> {
    return (await this.store.findById(id))?.status === 'revoked';
  }

  /** Keeps a grant from outside, or says why not. */
  async adopt(
    provider: TokenProvider,
    subject: Subject,
    outside: OutsideGrant,
    actor: Actor,
  ): Promise<{ connection: Connection; created: boolean } | NotAdopted> {
    const { grant, credential, scopes, token, mintedIn = null } = outside;
    const seal = (row: Connection): AdoptedGrant | null => {
      if (outside.unlessLiving && isLiving(row)) return null;
      return {
        sealedGrant: grant && this.#sealGrant(row, grant(this.#openFormer(row))),
        credentialFingerprint: credential && this.vault.fingerprint(credential),
        rotateAfterS: outside.madeByHand ? provider.settings.rotateAfterSeconds : null,
        scopes,
        paused: outside.paused ?? null,
        credentialType: outside.type ?? null,
        sharedExternally: outside.sharedExternally ?? false,
        token: token && {
          ...this.#sealToken(provider, row, token),
          ...(grant === null ? { renewAfterS: null } : {}),
          // Nobody knows how old a token is that came without its end.
          ...(token.sentAt === undefined && token.lifetimeAssumed ? { renewAfterS: 0 } : {}),
          minted: mintedIn !== null,
          expiresAt: outside.expiresAt ?? null,
        },
      };
    };
    const adopted = await this.vault.knowing((check) =>
      this.store.adopt(subject, (row) => (check(row.sealedGrant), seal(row)), actor),
    );
    if (typeof adopted !== 'string' && token && mintedIn !== null)
      await this.health.markWorking(provider, mintedIn);
    return adopted;
  }

  /** Is a credential that a person made kept at the company's other level, or a grant for anybody else at all? */
  async isKeptElsewhere(subject: Subject, credential: Secret, madeByHand: boolean): Promise<boolean> {
    return this.store.isCredentialElsewhere(subject, this.vault.fingerprint(credential), !madeByHand);
  }

  /** What lies there; null also where it does not open, since a new consent is just what mends that. */
  #openFormer(row: Connection): Secret | null {
    if (!row.sealedGrant) return null;
    try {
      return this.vault.open(row.sealedGrant, placeOf(row, 'sealed_grant'));
    } catch (error) {
      if (error instanceof VaultError) return null;
      throw error;
    }
  }

  #sealGrant(row: { id: string; provider: string; companyId: string }, grant: Secret): Sealed {
    return this.vault.seal(grant, placeOf(row, 'sealed_grant'));
  }

  #sealToken(
    provider: TokenProvider,
    row: { id: string; provider: string; companyId: string },
    token: OfferedToken & Partial<Pick<IssuedToken, 'sentAt'>>,
  ): KeptToken {
    return {
      sealedToken: this.vault.seal(token.accessToken, placeOf(row, 'sealed_token')),
      tokenType: token.tokenType,
      fingerprint: this.vault.fingerprint(token.accessToken),
      ageS: token.sentAt === undefined ? 0 : (this.clock.monotonic() - token.sentAt) / 1_000,
      lifetimeS: token.lifetimeSeconds,
      renewAfterS: renewAfter(token.lifetimeSeconds, provider.settings.renewBetween, Math.random),
    };
  }
}
