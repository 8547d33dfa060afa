import { columns, probeAt, seconds, tellReplicas } from './connection-row.sql.js';
import { FORMER, KEPT_COLUMNS, tellFailure, TRACE_FAILURE } from './kept-row.js';
import { ASKED, room, ROOM_COLUMNS, take } from './pace.sql.js';

/** What a claim writes. Should nobody come back, the lease's end is also when the schedule looks at the row again. */
const TAKE_LEASE = `
  lease_owner = $2,
  lease_until = broker_now() + ${seconds('$3')},
  lease_epoch = c.lease_epoch + 1,
  attempts = c.attempts + 1,
  crashes = c.crashes + picked.crashed::int,
  unanswered_since = coalesce(picked.unanswered_since, broker_now()),
  renew_at = broker_now() + ${seconds('$3')}`;

/**
 * What a claim has to know of the lease before. Where something was sent and nobody wrote down when, it is long ago: a release
 * before this one did not, nor does a backup that was restored.
 */
const BEFORE = `lease_owner is not null as crashed,
  coalesce(unanswered_since,
    case when lease_owner is not null or unknown_outcome is not null then timestamptz 'epoch' end) as unanswered_since`;

const STAYS_PAUSED = `(c.status = 'paused' and $3 <> 'reauthorization_required')`;

/** Nobody renews it; a lease that somebody did not come back from is free once those had time to who only lost the database. */
const FREE = `(lease_until is null or lease_until <= broker_now()) and (lease_owner is null or $9)`;

const CAN_BE_LEASED = `sealed_grant is not null and ${FREE}`;

const DUE = `provider = $1 and renew_at <= broker_now() and ${CAN_BE_LEASED}`;

/**
 * Of some whose ids are known, those that are due, as DUE says. No index can help with what is due here: the planner, who takes that for a
 * row or two, would go through all of it once for each id.
 */
const dueAmong = (ids: string): string => `
  id = any (array(select id from ${ids})) and coalesce(renew_at, 'infinity') <= broker_now() and ${CAN_BE_LEASED}`;

/** A backlog of up to this many is sorted; a longer one is read in the order of its deadlines. */
export const SHORT_BACKLOG = 500;

/**
 * Of a long backlog, what must not wait is found among so many of those that expire soonest, whether due or not: mostly among the
 * nearest. Behind them may be as many as there are connections and none of them due, since after a long outage all that is due
 * has expired; so there is an end to what is looked at.
 */
const NEAREST = 200;
export const LOOKED_AT = 10_000;

const amongSoonest = (count: number): string => `
  expires_at > broker_now() and expires_at <= coalesce((
    select expires_at from connections
    where provider = $1 and renew_at is not null and expires_at > broker_now()
    order by expires_at, id offset ${count} limit 1), 'infinity')`;

/** The same as `compareDue`: the living by their end, then what has no end, then the expired, by how long they have been due. */
const BY_DEADLINE = `
  case when expires_at > broker_now() then 0 when expires_at is null then 1 else 2 end,
  case when expires_at > broker_now() then expires_at else renew_at end, id`;

/** Leases what was picked, for a provider in whose row there is room for it. */
const leasePicked = (purpose: 'calendar' | 'caller'): string => `
  used as (select count(*)::integer as calls from picked),
  ${take(purpose)},
  claimed as (
    update connections c set ${TAKE_LEASE} from picked
    -- The array keeps the planner from joining the whole table to what it takes for a tenth of the backlog.
    where c.id = picked.id and c.id = any (array(select id from picked))
    returning ${columns('c')}, picked.crashed,
      extract(epoch from broker_now() - picked.unanswered_since)::double precision as "unansweredS")
  select ${ROOM_COLUMNS}, used.calls as "taken", claimed.*
  from used left join room on true left join claimed on true`;

const candidate = (where: string, order: string, limit: string): string => `
  select id, ${BEFORE}, expires_at from connections
  where ${where} order by ${order} limit ${limit} for update skip locked`;

/**
 * Statements by which a renewal begins, and ends without a token. Beginning takes room for the call in the provider's row, and both happen or
 * neither does; $1 to $10 are those of ASKED.
 */
export const LEASE_SQL = {
  /**
   * One connection, for somebody who waits. $11 id, $12 the version that was too short, $13 force: also before a backoff is
   * over, $14 whatever a pause says. One attempt is all that callers may cause: where it brought no new token, the calendar or a
   * report opens the next.
   */
  claim: {
    name: 'connection_claim',
    text: `with ${ASKED},
      free as materialized (
        select id, ${BEFORE} from connections
        where id = $11 and token_version <= $12 and sealed_grant is not null and ${FREE}
          and (renew_at <= broker_now()
            or (status in ('active', 'suspect') and ((consecutive_failures = 0 and attempts = 0) or $13))
            or (status = 'reauthorization_required' and renew_at is not null and $13))
        for update),
      ${room('caller', 'exists (select from free)', '$13::boolean', '$14::boolean')},
      picked as materialized (select free.* from free, room where room.calls > 0),
      ${leasePicked('caller')}`,
  },

  /**
   * Up to $11 that are due, those that expire soonest before others; what somebody else has locked is skipped. The end of a
   * long backlog is not looked at.
   */
  claimDue: {
    name: 'connection_claim_due',
    text: `with ${ASKED},
      head as materialized (
        select id from connections where ${DUE} order by renew_at limit ${SHORT_BACKLOG} + 1),
      backlog as materialized (select count(*) > ${SHORT_BACKLOG} as is_long from head),
      ${room('calendar', 'exists (select from head)')},
      places as materialized (
        select is_long, case when probed then 0 else least($11::integer, calls) end as n from room, backlog),
      short as materialized (${candidate(
        `(select n > 0 and not is_long from places) and ${dueAmong('head')}`,
        BY_DEADLINE,
        `(select n from places)`,
      )}),
      near as materialized (${candidate(
        `${DUE} and (select n > 0 and is_long from places) and ${amongSoonest(NEAREST)}`,
        `expires_at, id`,
        `(select n from places)`,
      )}),
      left_by_near as materialized (select n - (select count(*) from near) as n from places where is_long),
      far as materialized (${candidate(
        `${DUE} and (select n > 0 from left_by_near) and ${amongSoonest(LOOKED_AT)} and id <> all (array(select id from near))`,
        `expires_at, id`,
        `(select n from left_by_near)`,
      )}),
      left_by_living as materialized (select n - (select count(*) from far) as n from left_by_near),
      endless as materialized (${candidate(
        `${DUE} and (select n > 0 from left_by_living) and expires_at is null`,
        `renew_at, id`,
        `(select n from left_by_living)`,
      )}),
      left_by_endless as materialized (select n - (select count(*) from endless) as n from left_by_living),
      others as materialized (${candidate(
        `${DUE} and (select n > 0 from left_by_endless)
           and id <> all (array(select id from near union all select id from far union all select id from endless))`,
        `renew_at, id`,
        `(select n from left_by_endless)`,
      )}),
      picked as materialized (
        select * from short union all select * from near union all select * from far
        union all select * from endless union all select * from others),
      ${leasePicked('calendar')}`,
  },

  /** Any that is due: of a provider that is probed no single connection may be the only probe. */
  claimProbe: {
    name: 'connection_claim_probe',
    text: `with ${ASKED},
      -- Of those that have waited longest: sorting a whole backlog for one call would take longer than the call.
      due as materialized (
        select id from (select id from connections where ${DUE} order by renew_at limit 1000) head order by random() limit 10),
      ${room('calendar', 'exists (select from due)')},
      picked as materialized (${candidate(
        `(select calls > 0 from room) and ${dueAmong('due')}`,
        `random()`,
        `1`,
      )}),
      ${leasePicked('calendar')}`,
  },

  /**
   * Keeps what a failure changes, under the fence. A pause that came meanwhile stays, unless the grant is dead. The versions stand
   * beside the epoch since a failover may give the same epoch out twice: a refusal of what was spent must not end its successor.
   */
  keepFailure: {
    name: 'connection_keep_failure',
    text: `with ${FORMER}, kept as (
             update connections c set
               status = case when ${STAYS_PAUSED} then 'paused' else $3 end,
               status_reason = case when ${STAYS_PAUSED} then c.status_reason else $4 end,
               last_error = $5, consecutive_failures = $6, refusals = $7, unknown_outcome = $8,
               unanswered_since = case when $13 then c.unanswered_since end,
               refused_at = case when $10 then broker_now() else c.refused_at end,
               died_at = case when $3 <> 'reauthorization_required' then null else coalesce(c.died_at, broker_now()) end,
               renew_at = case when not ${STAYS_PAUSED} then broker_now() + ${seconds('$9')} end,
               lease_owner = null, lease_until = null, updated_at = broker_now()
             from former where c.id = former.id and c.lease_epoch = $2::bigint
               and c.token_version = $11 and c.grant_version = $12
             returning ${KEPT_COLUMNS}),
           ${TRACE_FAILURE},
           ${tellFailure('$3')}
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /** Gives a lease back under which nothing was sent. What a former holder left unknown stays so, and is put off as before. */
  release: {
    name: 'connection_release',
    text: `with kept as (
             update connections c set
               lease_owner = null, lease_until = null, attempts = greatest(0, c.attempts - 1),
               renew_at = case when c.status <> 'paused' then ${probeAt('coalesce(c.unknown_outcome, $3)')} end,
               unknown_outcome = coalesce(c.unknown_outcome, $3),
               unanswered_since = case when $4 then c.unanswered_since end,
               updated_at = broker_now()
             where c.id = $1 and c.lease_epoch = $2::bigint
             returning c.id, c.provider, c.status, c.token_version as "tokenVersion")
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },
} as const;
