import type { Connection } from './connection.js';

/** What a connection's row says of the token in hand: all that it takes to hand it out, and no grant. */
export type TokenInHand = Pick<
  Connection,
  | 'id'
  | 'provider'
  | 'companyId'
  | 'locationId'
  | 'now'
  | 'status'
  | 'scopes'
  | 'tokenVersion'
  | 'sealedToken'
  | 'tokenType'
  | 'tokenFingerprint'
  | 'expiresAt'
  | 'renewedLifetimeS'
  | 'renewAt'
  | 'lastError'
  | 'consecutiveFailures'
  | 'reportedVersion'
  | 'credentialType'
>;

/** As its row is read: times in milliseconds, and scopes as JSON, since a driver is slow to parse dates and arrays. */
export type TokenInHandRow = Omit<TokenInHand, 'now' | 'expiresAt' | 'renewAt' | 'scopes'> & {
  readonly nowMs: number;
  readonly expiresMs: number | null;
  readonly renewMs: number | null;
  readonly scopesJson: string;
};

/** As it lies in memory. A Date would take a hundred bytes, and a Buffer more than twice what it holds. */
export type KeptTokenInHand = Omit<TokenInHandRow, 'scopesJson' | 'sealedToken'> & {
  readonly scopes: readonly string[];
  /** Sealed as it was; each character is a byte. */
  readonly sealedLatin1: string | null;
};

const milliseconds = (time: string): string => `(extract(epoch from ${time}) * 1000)::float8`;

const COLUMNS = `c.id, c.provider, c.company_id as "companyId", c.location_id as "locationId", c.status,
  array_to_json(c.scopes)::text as "scopesJson", c.token_version as "tokenVersion", c.sealed_token as "sealedToken",
  c.token_type as "tokenType", c.token_fingerprint as "tokenFingerprint", ${milliseconds('c.expires_at')} as "expiresMs",
  c.renewed_lifetime_s as "renewedLifetimeS", ${milliseconds('c.renew_at')} as "renewMs", c.last_error as "lastError",
  c.consecutive_failures as "consecutiveFailures", c.reported_version as "reportedVersion",
  c.credential_type as "credentialType", ${milliseconds('broker_now()')} as "nowMs"`;

/** $1 provider, $2 company, $3 location. Two statements, since `is not distinct from` would not use the index. */
export const TOKEN_IN_HAND_SQL = {
  ofCompany: {
    name: 'token_in_hand_of_company',
    text: `select ${COLUMNS} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id is null`,
  },
  ofLocation: {
    name: 'token_in_hand_of_location',
    text: `select ${COLUMNS} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id = $3`,
  },
} as const;
