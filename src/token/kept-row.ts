import type { WrittenEvent } from '../audit/audit-event.js';
import { trace } from '../audit/audit.sql.js';
import { resourceOf } from '../http/caller.js';
import { tellOf, type ToldColumns } from '../outbox/outbox.sql.js';
import { BROKER } from '../shared/actor.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ClaimedConnection, Connection, ConnectionStatus } from './connection.js';

/** What a row became under a lease. */
export type Written = Pick<Connection, 'id' | 'provider' | 'status' | 'tokenVersion'>;

/**
 * What was written under a lease, and what the row was until then: by that, each change is told once, by who made it. No
 * more of the row, which hardly anybody asks for: reading it costs as much as writing it.
 */
export interface KeptRow extends Written {
  readonly formerStatus: ConnectionStatus;
  readonly formerVersion: number;
  /** Seconds that the former token had left; null where it never ends, or there was none. */
  readonly formerLeftS: number | null;
  readonly companyId: string;
  readonly locationId: string | null;
  readonly statusReason: string | null;
  readonly tokenFingerprint: string | null;
  /** Of what the trail says of it, and when that was. */
  readonly eventId: string;
  readonly now: Date;
}

/** Locks the row as it is found: $1. */
export const FORMER = `former as (
  select id, status, refusals, token_version, expires_at, rotate_by from connections where id = $1 for update)`;

export const KEPT_COLUMNS = `c.id, c.provider, c.status, c.token_version as "tokenVersion",
  former.status as "formerStatus", former.token_version as "formerVersion",
  extract(epoch from former.expires_at - broker_now())::double precision as "formerLeftS",
  c.company_id as "companyId", c.location_id as "locationId", c.status_reason as "statusReason",
  c.token_fingerprint as "tokenFingerprint", gen_random_uuid() as "eventId", broker_now() as "now"`;

/** The trail's part of a statement that keeps an outcome, so that a batch of them stays one statement. */
const traceKept = (source: string, outcome: 'allowed' | 'failed', reason: string): string =>
  trace(source, {
    id: `"eventId"`,
    at: `now`,
    last_at: `now`,
    actor: `'broker'`,
    action: `'connection:renew'`,
    outcome: `'${outcome}'`,
    resource: `provider || '/companies/' || "companyId" || coalesce('/locations/' || "locationId", '')`,
    connection_id: `id`,
    token_version: `"tokenVersion"`,
    token_fingerprint: `"tokenFingerprint"`,
    reason,
  });

export const TRACE_RENEWAL = traceKept(
  'kept',
  'allowed',
  `case when "tokenVersion" > "formerVersion" then 'renewed' else 'same_token' end`,
);

/** Of failures only what they have changed: a provider that is away would fill the trail. */
export const TRACE_FAILURE = traceKept('kept where status <> "formerStatus"', 'failed', '"statusReason"');

const TOLD: ToldColumns = {
  id: 'kept.id',
  provider: 'kept.provider',
  companyId: 'kept."companyId"',
  locationId: 'kept."locationId"',
  status: 'kept.status',
  statusReason: 'kept."statusReason"',
  tokenVersion: 'kept."tokenVersion"',
  // A failure leaves the token as it was.
  expiresAt: 'former.expires_at',
  rotateBy: 'former.rotate_by',
};

/** `isInTrouble` of a row that is renewed; those that nothing renews are kept under no lease. */
const inTrouble = (row: string): string =>
  `(${row}.status in ('suspect', 'reauthorization_required') or (${row}.status = 'paused' and ${row}.refusals > 0))`;

/** What others are told of a token that was kept: nothing, but where somebody had been told that there might be none. */
export const tellRecovery = (expiresAt: string): string =>
  tellOf(
    `kept join former on former.id = kept.id join given on given.id = kept.id
     where ${inTrouble('former')}`,
    `'connection.recovered'`,
    { ...TOLD, expiresAt },
  );

/** What others are told of a failure: that of the grant, once. `status` is what it leaves, were the row not paused meanwhile. */
export const tellFailure = (status: string): string =>
  tellOf(
    `kept join former on former.id = kept.id
     where (${status} = 'suspect' and not ${inTrouble('former')})
       or (${status} = 'reauthorization_required' and former.status <> 'reauthorization_required')`,
    `case ${status} when 'suspect' then 'connection.suspect' else 'connection.reauthorization_required' end`,
    TOLD,
  );

/** What TRACE_RENEWAL and TRACE_FAILURE have written; undefined where nothing. */
export function tracedBy(row: KeptRow, outcome: 'allowed' | 'failed'): WrittenEvent | undefined {
  if (outcome === 'failed' && row.status === row.formerStatus) return undefined;
  const { eventId, now, id, tokenVersion, tokenFingerprint, formerVersion, statusReason } = row;
  const renewed = tokenVersion > formerVersion ? 'renewed' : 'same_token';
  return {
    id: eventId,
    at: now,
    actor: BROKER,
    action: 'connection:renew',
    outcome,
    resource: resourceOf(row),
    connectionId: id,
    tokenVersion,
    tokenFingerprint,
    reason: outcome === 'allowed' ? renewed : statusReason,
  };
}

/** Counts what an outcome has changed, once it is committed; without a row the fence has refused it. */
export function countKept(metrics: Metrics, claimed: ClaimedConnection, row: KeptRow | undefined): void {
  if (!row) return metrics.leaseLost(claimed.provider);
  countMove(metrics, row, row.formerStatus);
  if (row.tokenVersion === row.formerVersion || !claimed.sealedToken || row.formerLeftS === null) return;
  metrics.tokenSucceeded(row.provider, row.formerLeftS);
}

/** Counts a status that was committed, where it is another than before. */
export function countMove(
  metrics: Metrics,
  { provider, status }: Pick<Connection, 'provider' | 'status'>,
  former: ConnectionStatus | null,
): void {
  if (status !== former) metrics.statusChanged(provider, status);
}
