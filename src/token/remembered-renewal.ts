import type { Sealed } from '../shared/secret.js';
import type { Vault } from '../vault/vault.js';
import type { BatchedKeeps, Fence } from './batched-keeps.js';
import { placeOf, type Connection } from './connection.js';
import type { KeptRenewal, KeptToken } from './kept-grant.js';
import type { RecentWrite } from './recent-writes.js';

/**
 * A renewal that was kept, for the minute that a failover may forget it. Thousands are remembered at a time, so that this holds
 * on to nothing that is larger than what it needs: what is sealed lies in texts, of which each character is a byte, since a small
 * Buffer keeps the whole block alive that it was cut from.
 */
export class RememberedRenewal implements RecentWrite {
  readonly id: string;
  readonly #leaseEpoch: string;
  readonly #tokenVersion: number;
  readonly #grantVersion: number;
  readonly #token: Omit<KeptToken, 'sealedToken'>;
  readonly #sealedToken: string;
  readonly #sealedGrant: string | null;
  readonly #scopes: readonly string[] | null;
  readonly #refreshTokenKept: boolean | null;

  constructor(
    { id, leaseEpoch, tokenVersion, grantVersion }: Fence,
    renewal: KeptRenewal,
    private readonly keeps: BatchedKeeps,
  ) {
    this.id = id;
    this.#leaseEpoch = leaseEpoch;
    this.#tokenVersion = tokenVersion;
    this.#grantVersion = grantVersion;
    const { tokenType, fingerprint, ageS, lifetimeS, renewAfterS } = renewal;
    this.#token = { tokenType, fingerprint, ageS, lifetimeS, renewAfterS };
    this.#sealedToken = renewal.sealedToken.toString('latin1');
    this.#sealedGrant = renewal.sealedGrant && renewal.sealedGrant.toString('latin1');
    this.#scopes = renewal.scopes;
    this.#refreshTokenKept = renewal.refreshTokenKept;
  }

  isThere(now: Connection | undefined, vault: Pick<Vault, 'holdSame'>): boolean {
    return (
      !now ||
      now.grantVersion !== this.#grantVersion ||
      now.tokenVersion > this.#tokenVersion ||
      (now.tokenFingerprint === this.#token.fingerprint && this.#isGrantThere(now, vault))
    );
  }

  async again(sinceS: number): Promise<unknown> {
    const fence: Fence = {
      id: this.id,
      leaseEpoch: this.#leaseEpoch,
      tokenVersion: this.#tokenVersion,
      grantVersion: this.#grantVersion,
    };
    return this.keeps.keepAlone(fence, {
      ...this.#token,
      ageS: this.#token.ageS + sinceS,
      sealedToken: bytesOf(this.#sealedToken),
      sealedGrant: this.#sealedGrant === null ? null : bytesOf(this.#sealedGrant),
      scopes: this.#scopes,
      refreshTokenKept: this.#refreshTokenKept,
    });
  }

  /** The same token may have come with another refresh token, which is what would be missed; unless the row has gone on since. */
  #isGrantThere(now: Connection, vault: Pick<Vault, 'holdSame'>): boolean {
    if (this.#sealedGrant === null || BigInt(now.leaseEpoch) > BigInt(this.#leaseEpoch)) return true;
    const place = placeOf(now, 'sealed_grant');
    return now.sealedGrant !== null && vault.holdSame(now.sealedGrant, bytesOf(this.#sealedGrant), place);
  }
}

function bytesOf(text: string): Sealed {
  return Buffer.from(text, 'latin1') as Sealed;
}
