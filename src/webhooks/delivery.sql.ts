import { WAY_ERRORS } from './retry.js';

/** Any number would do, as long as every replica takes the same one. */
const SPREAD_LOCK = 7_405_927;
const SPREAD_AT_ONCE = 1_000;

/** What one is held for: longer than telling it takes. */
const TAKEN_S = 60;
const PROBED_S = 30;

/** Failures in a row after which it was away, and what is waiting is tried again once it is back. */
const AWAY_AFTER = 3;
const MOST_CLOSED_S = 300;

const waiting = (table: string): string => `${table}.state = 'waiting'`;

/** Fence of what was taken: $1 receiver, $2 seq, $3 attempts. */
const TAKEN = `d.receiver = $1 and d.seq = $2 and d.attempts = $3 and ${waiting('d')}`;

/** Statements on `webhook_receivers` and `webhook_deliveries` by which events get to whoever is to be told. */
export const DELIVERY_SQL = {
  /**
   * These receivers stand in the file of this replica: $1 names, $2 events as JSON, $3 addresses. $4 whether it was just read:
   * then what it says counts; else the replica that read its file last may know better.
   */
  register: {
    text: `insert into webhook_receivers as r (name, events, address)
           select name, array(select jsonb_array_elements_text(events)), address
           from unnest($1::text[], $2::jsonb[], $3::text[]) as f (name, events, address) order by name
           on conflict (name) do update set
             seen_at = broker_now(),
             events = case when $4::boolean then excluded.events else r.events end,
             address = case when $4::boolean then excluded.address else r.address end,
             disabled_at = case when $4::boolean and r.address <> excluded.address then null else r.disabled_at end,
             closed_until = case when $4::boolean and r.address <> excluded.address then null else r.closed_until end`,
  },

  /** Those that stand in nobody's file any more, with all that waits for them. $1 seconds. */
  forget: {
    text: `delete from webhook_receivers where seen_at < broker_now() - make_interval(secs => $1)`,
  },

  /**
   * Makes a delivery for each receiver of what has happened since it is there. One replica at a time, in order, so that no
   * event of a subject is overtaken by a later one.
   */
  spread: {
    name: 'webhook_spread',
    text: `with gate as materialized (select pg_try_advisory_xact_lock(${SPREAD_LOCK}) as mine),
             fresh as materialized (
               select e.seq, e.type, e.subject, e.at from outbox_events e
               where e.spread_at is null and (select mine from gate) order by e.seq limit ${SPREAD_AT_ONCE}),
             spread as (
               update outbox_events e set spread_at = broker_now() from fresh where e.seq = fresh.seq),
             made as (
               insert into webhook_deliveries (receiver, seq, subject, waiting_since, due_at)
               select r.name, fresh.seq, fresh.subject, broker_now(), broker_now()
               from fresh join webhook_receivers r on fresh.type = any (r.events) and r.since <= fresh.at
               on conflict do nothing)
           select count(*)::integer = ${SPREAD_AT_ONCE} as "isMore" from fresh`,
  },

  /**
   * Takes what is due for each of $1, up to $2 of it: of a subject always the first that waits, and of a receiver that fails
   * just one thing at a time among all replicas.
   */
  take: {
    name: 'webhook_take',
    text: `with open as materialized (
             select r.name, r.failures > 0 as is_probed, case when r.failures > 0 then 1 else asked.slots end as n
             from unnest($1::text[], $2::integer[]) as asked (name, slots) join webhook_receivers r on r.name = asked.name
             where asked.slots > 0 and r.disabled_at is null
               and coalesce(r.closed_until <= broker_now(), true)
               and (r.failures = 0 or coalesce(r.probe_until <= broker_now(), true))
             for no key update of r skip locked),
           picked as materialized (
             select open.is_probed, first.receiver, first.seq from open cross join lateral (
               select d.receiver, d.seq from webhook_deliveries d
               where d.receiver = open.name and ${waiting('d')} and d.due_at <= broker_now()
                 and coalesce(d.taken_until <= broker_now(), true)
                 and not exists (
                   select from webhook_deliveries b
                   where b.receiver = d.receiver and b.subject = d.subject and ${waiting('b')} and b.seq < d.seq)
               order by d.due_at, d.seq limit open.n for update of d skip locked) as first),
           probed as (
             update webhook_receivers r set probe_until = broker_now() + interval '${PROBED_S} seconds'
             where r.name in (select receiver from picked where is_probed)),
           taken as (
             update webhook_deliveries d set attempts = d.attempts + 1, taken_at = broker_now(),
               begun_at = coalesce(d.begun_at, broker_now()),
               taken_until = broker_now() + interval '${TAKEN_S} seconds'
             from picked where d.receiver = picked.receiver and d.seq = picked.seq
             returning d.receiver, d.seq, d.attempts)
           select taken.receiver, taken.seq::text, taken.attempts, e.id, e.type, e.at, e.content
           from taken join outbox_events e on e.seq = taken.seq order by taken.seq`,
  },

  /** It was told. $4 status. Once a receiver that was away has taken something, all that failed meanwhile is tried again. */
  delivered: {
    name: 'webhook_delivered',
    text: `with done as (
             update webhook_deliveries d set state = 'delivered', settled_at = broker_now(), taken_until = null,
               last_error = null, last_status = $4
             where ${TAKEN}),
           former as materialized (select name, failures from webhook_receivers where name = $1),
           woken as (
             update webhook_deliveries d set due_at = broker_now()
             where d.receiver = $1 and ${waiting('d')} and d.seq <> $2 and d.due_at > broker_now()
               and (select failures >= ${AWAY_AFTER} from former)
               and d.last_error in (${WAY_ERRORS.map((error) => `'${error}'`).join(', ')}))
           update webhook_receivers r set failures = 0, closed_until = null, probe_until = null, last_delivered_at = broker_now()
           where r.name = $1 and (r.failures > 0 or coalesce(r.last_delivered_at < broker_now() - interval '10 seconds', true))`,
  },

  /**
   * It was not: $4 seconds until it is tried again, $5 error, $6 status, $7 whether nobody wants to be told any more, $8 seconds
   * after which it is given up, $9 a number drawn from 0 to 1, $10 seconds that the receiver has asked for. What was under way when a
   * receiver was closed closes it no further.
   */
  failed: {
    name: 'webhook_failed',
    text: `with given_up as materialized (
             select d.receiver, d.seq, not $7 and d.begun_at <= broker_now() - make_interval(secs => $8) as is_dead
             from webhook_deliveries d where ${TAKEN} for update),
           noted as (
             update webhook_deliveries d set taken_until = null, last_error = $5, last_status = $6,
               due_at = broker_now() + make_interval(secs => $4),
               state = case when is_dead then 'dead' else 'waiting' end,
               settled_at = case when is_dead then broker_now() end
             from given_up g where d.receiver = g.receiver and d.seq = g.seq
             returning d.taken_at, is_dead),
           closed as (
             update webhook_receivers r set failures = r.failures + 1, probe_until = null,
               closed_until = broker_now() + make_interval(secs => greatest(
                 least(${MOST_CLOSED_S}, 2 ^ least(r.failures, 20)) * $9::double precision, $10::double precision, 0)),
               last_error = $5, last_status = $6, last_failed_at = broker_now(),
               disabled_at = case when $7 then broker_now() else r.disabled_at end
             from noted where r.name = $1 and coalesce(r.closed_until <= noted.taken_at, true))
           select is_dead as "isDead" from noted`,
  },

  /** Gives back what was not tried. */
  release: {
    name: 'webhook_release',
    text: `with freed as (update webhook_deliveries d set taken_until = null where ${TAKEN})
           update webhook_receivers r set probe_until = null where r.name = $1 and r.probe_until is not null`,
  },
} as const;
