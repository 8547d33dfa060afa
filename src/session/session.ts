import type { Sealed } from '../shared/secret.js';
import { Field, nullable, text } from '../shared/schema.js';
import type { Place } from '../vault/vault.js';

/** A session has one token for all of its life. */
export const ONLY_VERSION = 1;

/** A row of `online_sessions` as it was at `now`, by the database's clock. Its token is one user's, and nothing renews it. */
export interface Session {
  readonly id: string;
  readonly now: Date;
  readonly provider: string;
  readonly companyId: string;
  /** Null where the provider did not tell. */
  readonly userId: string | null;
  /** Null once the token has expired and was erased. */
  readonly sealedToken: Sealed | null;
  readonly tokenType: string;
  readonly scopes: readonly string[];
  readonly tokenFingerprint: string;
  /** Seconds that the token was given when it was issued; null: it never expires. */
  readonly lifetimeS: number | null;
  readonly expiresAt: Date | null;
  /** When a caller said that the provider refuses the token. */
  readonly reportedAt: Date | null;
}

/** Whose session it is, as an answer shows it. */
export class UserAnswer {
  @Field(nullable(text('5b21…')), 'Null where the provider did not tell.') readonly id!: string | null;
}

/** Seconds that the token still lives: Infinity where it never expires, -Infinity where it was erased. */
export function remainingSeconds(session: Session): number {
  if (!session.sealedToken) return -Infinity;
  if (!session.expiresAt) return Infinity;
  return (session.expiresAt.getTime() - session.now.getTime()) / 1_000;
}

/** Where the sealed token of this row lies. */
export function placeOf(row: { id: string; provider: string; companyId: string }): Place {
  return {
    table: 'online_sessions',
    column: 'sealed_token',
    rowId: row.id,
    provider: row.provider,
    companyId: row.companyId,
  };
}
