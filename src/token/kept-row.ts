import type { Metrics } from '../telemetry/metrics.js';
import type { ClaimedConnection, Connection, ConnectionStatus } from './connection.js';

/** A row as it was written under a lease, and what it was until then: by that, each change is told once, by who made it. */
export interface KeptRow extends Connection {
  readonly formerStatus: ConnectionStatus;
  readonly formerVersion: number;
  readonly formerExpiresAt: Date | null;
}

/** Locks the row as it is found: $1. */
export const FORMER = `former as (select id, status, token_version, expires_at from connections where id = $1 for update)`;

export const FORMER_COLUMNS = `former.status as "formerStatus", former.token_version as "formerVersion",
  former.expires_at as "formerExpiresAt"`;

/** Counts what an outcome has changed, once it is committed; without a row the fence has refused it. */
export function countKept(metrics: Metrics, claimed: ClaimedConnection, row: KeptRow | undefined): void {
  if (!row) return metrics.leaseLost(claimed.provider);
  countMove(metrics, row, row.formerStatus);
  if (row.tokenVersion === row.formerVersion || !claimed.sealedToken || !row.formerExpiresAt) return;
  metrics.tokenSucceeded(row.provider, (row.formerExpiresAt.getTime() - row.now.getTime()) / 1_000);
}

/** Counts a status that was committed, where it is another than before. */
export function countMove(
  metrics: Metrics,
  { provider, status }: Connection,
  former: ConnectionStatus | null,
): void {
  if (status !== former) metrics.statusChanged(provider, status);
}
