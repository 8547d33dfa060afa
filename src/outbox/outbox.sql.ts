import type { ConnectionEventType } from './outbox-event.js';

/** The columns of a connection that an event tells, as SQL. */
export interface ToldColumns {
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly locationId: string;
  readonly status: string;
  readonly statusReason: string;
  readonly tokenVersion: string;
  readonly expiresAt: string;
  readonly rotateBy: string;
}

/** As the API writes a time. */
const iso = (time: string): string =>
  `to_char(date_trunc('milliseconds', ${time}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The same as `contentOf`. */
const content = (of: ToldColumns): string => `json_build_object(
  'connection_id', ${of.id}, 'provider', ${of.provider}, 'company_id', ${of.companyId},
  'location_id', ${of.locationId}, 'level', case when ${of.locationId} is null then 'company' else 'location' end,
  'status', ${of.status}, 'reason', ${of.statusReason}, 'token_version', ${of.tokenVersion},
  'expires_at', ${iso(of.expiresAt)}, 'rotate_by', ${iso(of.rotateBy)})`;

/**
 * Writes events of connections as a part of the statement that changes them, so that where nothing is to be told it costs
 * next to nothing. `source` is what follows `from`, with a `where` that holds for few; `type` is SQL.
 */
export const tellOf = (
  source: string,
  type: `'${ConnectionEventType}'` | `case ${string} end`,
  columns: ToldColumns,
): string => `
  told as (
    insert into outbox_events (id, at, type, subject, content)
    select gen_random_uuid(), broker_now(), ${type}, (${columns.id})::text, ${content(columns)} from ${source})`;

export const OUTBOX_SQL = {
  /** Arrays, one element an event, in their order. One that is there already is not written again. */
  write: {
    name: 'outbox_write',
    text: `insert into outbox_events (id, at, type, subject, content)
           select id, broker_now(), type, subject, content
           from unnest($1::uuid[], $2::text[], $3::text[], $4::json[]) with ordinality
             as e (id, type, subject, content, place)
           order by place
           on conflict (id) do nothing`,
  },

  /** Nothing more is told of those that are over. $1 seconds. */
  forget: {
    text: `with old as (
             select seq from outbox_events where at < broker_now() - make_interval(secs => $1)
             order by at limit 5000 for update skip locked),
           gone as (delete from outbox_events e using old where e.seq = old.seq returning 1)
           select count(*)::integer as gone from gone`,
  },
} as const;
