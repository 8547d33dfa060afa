import type { Sealed } from '../shared/secret.js';

/** A token ready to be kept: sealed for its row, its times relative to now. */
export interface KeptToken {
  readonly sealedToken: Sealed;
  readonly tokenType: string;
  readonly fingerprint: string;
  /** Seconds since the request that brought it was sent. */
  readonly ageS: number;
  /** Seconds that it lives from then; null: it never expires. */
  readonly lifetimeS: number | null;
  /** Seconds from then until it is to be renewed; null: never. */
  readonly renewAfterS: number | null;
}

/** What a renewal may bring beside its token. Null keeps what is stored. */
export interface KeptRenewal extends KeptToken {
  readonly scopes: readonly string[] | null;
  readonly sealedGrant: Sealed | null;
  readonly refreshTokenKept: boolean | null;
}

/** A grant from outside the engine, sealed for its row. */
export interface AdoptedGrant {
  /** Null where nothing renews the token. */
  readonly sealedGrant: Sealed | null;
  /** Tells whether it is kept twice; null for a consent. */
  readonly credentialFingerprint: string | null;
  /** Seconds after which a credential that a person made is due to be replaced; null where no person did. */
  readonly rotateAfterS: number | null;
  /** Null: those that are there stay. */
  readonly scopes: readonly string[] | null;
  /** Null: an operator's pause stays. */
  readonly paused: boolean | null;
  readonly credentialType: string | null;
  readonly sharedExternally: boolean;
  /** Null where no token came with it. */
  readonly token: AdoptedToken | null;
}

export interface AdoptedToken extends KeptToken {
  /** Whether a renewal would bring the like of it, so that its lifetime is the one to expect. */
  readonly minted: boolean;
  /** When it expires, where a person said so. */
  readonly expiresAt: Date | null;
}

/** Why a grant from outside was not kept. */
export type NotAdopted =
  /** The same credential is kept at the company's other level, or the same grant for anybody else. */
  | 'kept_elsewhere'
  /** There is a living connection, and it was not to be replaced. */
  | 'living';

/** The values of a token, in the order in which statements take them. */
export function tokenValues(token: KeptToken): unknown[] {
  const { sealedToken, tokenType, fingerprint, ageS, lifetimeS, renewAfterS } = token;
  return [sealedToken, tokenType, fingerprint, ageS, lifetimeS, renewAfterS];
}
