import type { Sealed } from '../shared/secret.js';
import type { Connection } from './connection.js';
import type { KeptAnswer } from './kept-answer.js';

/** What a connection's row says of the token in hand: all that it takes to hand it out, and no grant. */
export type TokenInHand = Pick<
  Connection,
  | 'id'
  | 'provider'
  | 'companyId'
  | 'locationId'
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
> & {
  /** As permissions name it, where somebody has put that together already. */
  readonly resource?: string;
};

/** As its row is read: times in milliseconds, and scopes as JSON, since a driver is slow to parse dates and arrays. */
export type TokenInHandRow = Omit<TokenInHand, 'expiresAt' | 'renewAt' | 'scopes' | 'resource'> & {
  readonly nowMs: number;
  readonly expiresMs: number | null;
  readonly renewMs: number | null;
  readonly scopesJson: string;
};

/** What of a row takes the same text, or the same list, in many others. */
type Shared = Pick<
  TokenInHand,
  'provider' | 'status' | 'tokenType' | 'credentialType' | 'lastError' | 'scopes'
>;

/**
 * As it lies in memory, and is read there: nothing of it is copied for a request. A Date would take a hundred bytes, and a
 * Buffer more than twice what it holds, so that both are made for whoever asks for them.
 */
export class KeptTokenInHand implements TokenInHand {
  // What every read looks at comes first.
  readonly status: TokenInHand['status'];
  readonly scopes: readonly string[];
  readonly tokenVersion: number;
  readonly reportedVersion: number | null;
  readonly credentialType: TokenInHand['credentialType'];
  readonly lastError: string | null;
  readonly consecutiveFailures: number;
  readonly hasToken: boolean;
  readonly expiresMs: number | null;
  readonly renewedLifetimeS: number | null;
  /** How many milliseconds the database's clock is ahead of this process's monotonic one. */
  readonly aheadMs: number;
  /** Where it is asked for again and again; null where there is no such thing. */
  answer: KeptAnswer | null | undefined = undefined;
  /** Was it handed out before? */
  isServed = false;
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly locationId: string | null;
  readonly tokenType: string | null;
  readonly tokenFingerprint: string | null;
  readonly renewMs: number | null;
  /** Sealed as it was; each character is a byte. */
  readonly #sealedLatin1: string | null;

  /** @param askedAtMs monotonic, when the row was asked for: it is as it was then, or later */
  constructor(
    row: TokenInHandRow,
    shared: Shared,
    readonly resource: string,
    askedAtMs: number,
  ) {
    this.id = row.id;
    this.provider = shared.provider;
    this.companyId = row.companyId;
    this.locationId = row.locationId;
    this.status = shared.status;
    this.scopes = shared.scopes;
    this.tokenVersion = row.tokenVersion;
    this.tokenType = shared.tokenType;
    this.tokenFingerprint = row.tokenFingerprint;
    this.renewedLifetimeS = row.renewedLifetimeS;
    this.lastError = shared.lastError;
    this.consecutiveFailures = row.consecutiveFailures;
    this.reportedVersion = row.reportedVersion;
    this.credentialType = shared.credentialType;
    this.expiresMs = row.expiresMs;
    this.renewMs = row.renewMs;
    this.aheadMs = row.nowMs - askedAtMs;
    this.hasToken = row.sealedToken !== null;
    this.#sealedLatin1 = row.sealedToken && row.sealedToken.toString('latin1');
  }

  get expiresAt(): Date | null {
    return this.expiresMs === null ? null : new Date(this.expiresMs);
  }

  get renewAt(): Date | null {
    return this.renewMs === null ? null : new Date(this.renewMs);
  }

  get sealedToken(): Sealed | null {
    return this.#sealedLatin1 === null ? null : (Buffer.from(this.#sealedLatin1, 'latin1') as Sealed);
  }

  /** Seconds that it still lives: as `remainingSeconds` of a connection. */
  remainingSeconds(nowMs: number): number {
    if (!this.hasToken) return -Infinity;
    return this.expiresMs === null ? Infinity : (this.expiresMs - nowMs) / 1_000;
  }
}

const milliseconds = (time: string): string => `(extract(epoch from ${time}) * 1000)::float8`;

const COLUMNS = `c.id, c.provider, c.company_id as "companyId", c.location_id as "locationId", c.status,
  array_to_json(c.scopes)::text as "scopesJson", c.token_version as "tokenVersion", c.sealed_token as "sealedToken",
  c.token_type as "tokenType", c.token_fingerprint as "tokenFingerprint", ${milliseconds('c.expires_at')} as "expiresMs",
  c.renewed_lifetime_s as "renewedLifetimeS", ${milliseconds('c.renew_at')} as "renewMs", c.last_error as "lastError",
  c.consecutive_failures as "consecutiveFailures", c.reported_version as "reportedVersion",
  c.credential_type as "credentialType", ${milliseconds('broker_now()')} as "nowMs"`;

/**
 * Of each of many, looked for one by one in the index, whatever the planner thinks that there are. As JSON, of which it always
 * thinks the same: for arrays it would make a new plan each time, which takes longer than the look-up.
 */
const ofEach = (condition: string): string =>
  `select ${COLUMNS} from json_to_recordset($1::json) s (provider text, "companyId" text, "locationId" text)
   cross join lateral (select * from connections r
                       where r.provider = s.provider and r.company_id = s."companyId" and r.location_id ${condition} limit 1) c`;

/** $1 subjects. Two statements, since `is not distinct from` would not use the index. */
export const TOKENS_IN_HAND_SQL = {
  ofCompanies: { name: 'tokens_in_hand_of_companies', text: ofEach('is null') },
  ofLocations: { name: 'tokens_in_hand_of_locations', text: ofEach('= s."locationId"') },
} as const;
