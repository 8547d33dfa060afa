import type { Place } from '../vault/vault.js';
import type { Sealed } from '../shared/secret.js';
import type { Subject } from '../shared/ids.js';
import type { CredentialType } from '../provider/token-provider.js';

export const STATUSES = ['active', 'suspect', 'reauthorization_required', 'paused', 'revoked'] as const;

export type ConnectionStatus = (typeof STATUSES)[number];

/** A row of `connections` as it was at `now`, by the database's clock, which all its times are to be compared with. */
export interface Connection extends Subject {
  readonly id: string;
  readonly now: Date;
  readonly status: ConnectionStatus;
  readonly statusReason: string | null;
  readonly scopes: readonly string[];
  readonly grantVersion: number;
  readonly sealedGrant: Sealed | null;
  readonly tokenVersion: number;
  readonly sealedToken: Sealed | null;
  readonly tokenType: string | null;
  readonly tokenFingerprint: string | null;
  readonly issuedAt: Date | null;
  /** Null with a token in hand: it never expires. */
  readonly expiresAt: Date | null;
  /** Seconds that the last renewal's token was given; null while nothing was renewed. */
  readonly renewedLifetimeS: number | null;
  readonly renewAt: Date | null;
  readonly lastRenewedAt: Date | null;
  readonly lastError: string | null;
  readonly consecutiveFailures: number;
  /** Doubtful refusals in a row. */
  readonly refusals: number;
  readonly leaseOwner: string | null;
  readonly leaseUntil: Date | null;
  readonly leaseEpoch: string;
  /** Claims since the last new token. */
  readonly attempts: number;
  /** Set while nobody knows whether the last refresh token that was sent has been spent. */
  readonly unknownOutcome: 'crash' | 'no_answer' | null;
  readonly crashes: number;
  /** When a secret that a person made is to be replaced; null where no person made one. */
  readonly rotateBy: Date | null;
  /** Of a token that a person made in a portal; null for everything else. */
  readonly credentialType: CredentialType | null;
  /** Whether that token is in the hands of somebody outside, too. */
  readonly sharedExternally: boolean;
  /** Of a revoked one: what the provider was told. */
  readonly upstreamRevocation: 'revoked' | 'owed' | 'unsupported' | null;
  /** What the last renewal showed: true where the same refresh token went on working. */
  readonly refreshTokenKept: boolean | null;
  readonly reportedVersion: number | null;
  readonly reportedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A connection whose lease this process holds. */
export interface ClaimedConnection extends Connection {
  /** The former holder never came back: what it sent, if anything, is unknown. */
  readonly crashed: boolean;
  /**
   * Seconds since the refresh token was first sent without an answer that is known, when this claim was made; null where
   * nothing is out.
   */
  readonly unansweredS: number | null;
}

/** A secret that a person made is told to be due this many seconds before it is to be replaced. */
export const ROTATION_DUE_S = 14 * 86_400;

/** Whether the secret that a person made is to be replaced soon, or should have been; null: neither. */
export function rotationOf({ rotateBy, now, status }: Connection): 'due' | 'overdue' | null {
  if (rotateBy === null || status === 'revoked') return null;
  const leftS = (rotateBy.getTime() - now.getTime()) / 1_000;
  if (leftS <= 0) return 'overdue';
  return leftS <= ROTATION_DUE_S ? 'due' : null;
}

/** Seconds that the token in hand still lives: Infinity where it never expires, -Infinity where there is none. */
export function remainingSeconds(connection: Pick<Connection, 'sealedToken' | 'expiresAt' | 'now'>): number {
  if (!connection.sealedToken) return -Infinity;
  if (!connection.expiresAt) return Infinity;
  return (connection.expiresAt.getTime() - connection.now.getTime()) / 1_000;
}

/** True while somebody holds a lease that has not run out. */
export function isLeased(connection: Connection): boolean {
  return connection.leaseUntil !== null && connection.leaseUntil > connection.now;
}

/** True where it is due, free, and nothing has failed: whoever held its lease gave that back before anybody was asked. */
export function isGivenBack({ leaseUntil, renewAt, now, consecutiveFailures }: Connection): boolean {
  return leaseUntil === null && renewAt !== null && renewAt <= now && consecutiveFailures === 0;
}

/** True where it has a grant or a token that is not known to be dead. */
export function isLiving({ status, sealedGrant, sealedToken }: Connection): boolean {
  if (status === 'revoked' || status === 'reauthorization_required') return false;
  return sealedGrant !== null || sealedToken !== null;
}

/** True where the token in hand was itself reported with a 401. */
export function isReported(connection: Pick<Connection, 'tokenVersion' | 'reportedVersion'>): boolean {
  return connection.tokenVersion > 0 && connection.reportedVersion === connection.tokenVersion;
}

/**
 * True where others have been told of trouble that is not over. A pause neither ends it nor hides it: what the connection was
 * suspected of stays in its row meanwhile. In SQL: `inTrouble`.
 */
export function isInTrouble(connection: Connection): boolean {
  const { status, refusals, sealedGrant } = connection;
  if (status === 'suspect' || status === 'reauthorization_required') return true;
  return status === 'paused' && (refusals > 0 || (sealedGrant === null && isReported(connection)));
}

/** Where a sealed column of this row lies. */
export function placeOf(
  row: Pick<Connection, 'id' | 'provider' | 'companyId'>,
  column: 'sealed_grant' | 'sealed_token',
): Place {
  return { table: 'connections', column, rowId: row.id, provider: row.provider, companyId: row.companyId };
}
