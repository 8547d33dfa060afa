import type { Place } from '../vault/vault.js';
import type { Sealed } from '../shared/secret.js';
import type { Subject } from '../shared/ids.js';

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
}

/** Seconds that the token in hand still lives: Infinity where it never expires, -Infinity where there is none. */
export function remainingSeconds(connection: Connection): number {
  if (!connection.sealedToken) return -Infinity;
  if (!connection.expiresAt) return Infinity;
  return (connection.expiresAt.getTime() - connection.now.getTime()) / 1_000;
}

/** True while somebody holds a lease that has not run out. */
export function isLeased(connection: Connection): boolean {
  return connection.leaseUntil !== null && connection.leaseUntil > connection.now;
}

/** True where the token in hand was itself reported with a 401. */
export function isReported(connection: Connection): boolean {
  return connection.tokenVersion > 0 && connection.reportedVersion === connection.tokenVersion;
}

/** Where a sealed column of this row lies. */
export function placeOf(
  row: { id: string; provider: string; companyId: string },
  column: 'sealed_grant' | 'sealed_token',
): Place {
  return { table: 'connections', column, rowId: row.id, provider: row.provider, companyId: row.companyId };
}
