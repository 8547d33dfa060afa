import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { Sealed } from '../../src/shared/secret.js';
import type { Vault } from '../../src/vault/vault.js';

/** A connection as it lies in the database, with what is sealed in it laid open. Times are milliseconds of the database's clock. */
export interface Row {
  readonly id: string;
  readonly company: string;
  readonly now: number;
  readonly status: string;
  readonly reason: string | null;
  readonly renewAt: number | null;
  readonly issuedAt: number | null;
  readonly expiresAt: number | null;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number | null;
  readonly leaseEpoch: number;
  readonly tokenVersion: number;
  readonly grantVersion: number;
  readonly failures: number;
  readonly refusals: number;
  readonly attempts: number;
  readonly crashes: number;
  readonly unknown: string | null;
  readonly lastError: string | null;
  readonly reportedVersion: number | null;
  readonly refreshTokenKept: boolean | null;
  readonly grant: string | null;
  readonly token: string | null;
}

/** Nobody can be served for long with the token in hand. */
export function isNearlyGone({ token, expiresAt, now, reportedVersion, tokenVersion }: Row): boolean {
  if (token === null || expiresAt === null || reportedVersion === tokenVersion) return true;
  return expiresAt - now <= 46_000;
}

/** What is known of the provider. */
export interface ProviderRow {
  readonly isPaused: boolean;
  readonly isMass: boolean;
  readonly isMisconfigured: boolean;
  readonly closedUntil: number | null;
  readonly probeAt: number | null;
}

type Stored = Omit<Row, 'grant' | 'token'> & { sealedGrant: Sealed | null; sealedToken: Sealed | null };

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;

const ROWS = `
  select c.id, c.company_id as company, ${ms('broker_now()')} as now, c.status, status_reason as reason,
    ${ms('renew_at')} as "renewAt", ${ms('issued_at')} as "issuedAt", ${ms('expires_at')} as "expiresAt",
    lease_owner as "leaseOwner", ${ms('lease_until')} as "leaseUntil", lease_epoch::float8 as "leaseEpoch",
    token_version as "tokenVersion", grant_version as "grantVersion", consecutive_failures as failures, refusals,
    attempts, crashes, unknown_outcome as unknown, c.last_error as "lastError", reported_version as "reportedVersion",
    refresh_token_kept as "refreshTokenKept", sealed_grant as "sealedGrant", sealed_token as "sealedToken",
    paused_at is not null as "isPaused", mass_refused_at is not null as "isMass",
    coalesce(s.status = 'misconfigured', false) as "isMisconfigured",
    ${ms('closed_until')} as "closedUntil", ${ms('probe_at')} as "probeAt"
  from connections c left join provider_states s on s.provider = c.provider
  where c.provider = $1 order by company_id`;

/** Everything as it lies in the database at one moment. */
export interface Sight {
  readonly rows: ReadonlyMap<string, Row>;
  readonly state: ProviderRow;
}

/** Reads what is there, past the engine. */
export class RowReader {
  constructor(
    private readonly dataSource: DataSource,
    private readonly vault: Vault,
    private readonly provider: string,
  ) {}

  async look(): Promise<Sight> {
    const { master } = this.dataSource.driver as unknown as { master: Pool };
    const found = await master.query<Stored & ProviderRow>({
      name: 'look',
      text: ROWS,
      values: [this.provider],
    });
    const [state] = found.rows;
    if (!state) throw new Error('there is nothing to look at');
    return { rows: new Map(found.rows.map((row) => [row.company, this.#open(row)])), state };
  }

  #open({ sealedGrant, sealedToken, ...row }: Stored & ProviderRow): Row {
    const place = { table: 'connections', rowId: row.id, provider: this.provider, companyId: row.company };
    const open = (sealed: Sealed | null, column: string): string | null =>
      sealed && this.vault.open(sealed, { ...place, column }).reveal();
    return { ...row, grant: open(sealedGrant, 'sealed_grant'), token: open(sealedToken, 'sealed_token') };
  }
}
