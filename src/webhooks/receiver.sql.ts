/** Beyond this many, how many there are tells nobody more. */
const MOST_COUNTED = 100_000;

/** Statements by which people see how receivers stand, and have them told again. */
export const RECEIVER_SQL = {
  countUnspread: {
    name: 'webhook_count_unspread',
    text: `select count(*)::integer as unspread from (
             select from outbox_events where spread_at is null limit ${MOST_COUNTED}) as first`,
  },

  /** $1 a name, or null for all. */
  list: {
    name: 'webhook_receivers_list',
    text: `select r.name, r.events, r.since, r.seen_at as "seenAt", r.disabled_at as "disabledAt", r.failures,
             case when r.closed_until > broker_now() then r.closed_until end as "closedUntil",
             r.last_error as "lastError", r.last_status as "lastStatus", r.last_failed_at as "lastFailedAt",
             r.last_delivered_at as "lastDeliveredAt", w.waiting, w.oldest as "oldestWaitingSince",
             coalesce(extract(epoch from broker_now() - w.oldest), 0)::float8 as "oldestWaitingS", g.dead
           from webhook_receivers r
           cross join lateral (
             select count(*)::integer as waiting, min(d.waiting_since) as oldest from webhook_deliveries d
             where d.receiver = r.name and d.state = 'waiting') as w
           cross join lateral (
             select count(*)::integer as dead from webhook_deliveries d
             where d.receiver = r.name and d.state = 'dead') as g
           where $1::text is null or r.name = $1 order by r.name`,
  },

  /** Newest first. $1 receiver, $2 state (null: any), $3 the id of the event before (null: from the newest), $4 how many. */
  deliveries: {
    text: `select e.id, e.type, e.at, e.content, d.state, d.attempts, d.last_error as "lastError", d.last_status as "lastStatus",
             case when d.state = 'waiting' then d.due_at end as "dueAt", d.settled_at as "settledAt"
           from webhook_deliveries d join outbox_events e on e.seq = d.seq
           where d.receiver = $1 and ($2::text is null or d.state = $2)
             and ($3::uuid is null or d.seq < (select seq from outbox_events where id = $3))
           order by d.seq desc limit $4`,
  },

  lock: { text: `select name from webhook_receivers where name = $1 for no key update` },

  /** Whatever kept it from being told anything is over. $1 receiver. */
  resume: {
    text: `update webhook_receivers set disabled_at = null, failures = 0, closed_until = null, probe_until = null
           where name = $1`,
  },

  /** What was given up is told again, of events since $2; one that is named by $3 also where it was told. $1 receiver. */
  resend: {
    text: `with again as (
             update webhook_deliveries d set state = 'waiting', attempts = 0, waiting_since = broker_now(),
               begun_at = null, due_at = broker_now(), settled_at = null
             from outbox_events e
             where e.seq = d.seq and d.receiver = $1
               and case when $3::uuid is null then d.state = 'dead' and ($2::timestamptz is null or e.at >= $2)
                        else d.state <> 'waiting' and e.id = $3 end
             returning 1)
           select count(*)::integer as resent from again`,
  },
} as const;
