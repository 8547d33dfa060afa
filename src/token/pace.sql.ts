import {
  EXCHANGE_PART,
  FAILURES_TO_CLOSE,
  FIRST_CLOSED_S,
  isBrought,
  MOST_CLOSED_S,
  MOST_DISORDER_S,
  MOST_RATE_LIMITED_S,
  MOST_SET_BACK_S,
  ORDINARY_PART,
  PROBE_EVERY_S,
  type Purpose,
} from './pace.js';

/**
 * What every statement that takes room has in common: $1 provider, $2 lease owner, $3 lease seconds, $4 holder, the name
 * under which this process counts its calls, $5 how many of those have ended, $6 and $7 depth and refill a second of the
 * bucket, $8 concurrency, $9 whether leases of the lost may be taken, $10 fingerprint of the credentials in force.
 */
export const ASKED = `
  asked as (select $1::text as provider, $2::text as owner, $3::double precision as lease_s, $4::text as holder,
    $5::bigint as ended, $6::double precision as depth, $7::double precision as per_second, $8::integer as concurrency,
    $9::boolean as crashed_too, $10::text as credentials)`;

const EPOCH = `extract(epoch from broker_now())::double precision`;

interface Bucket {
  readonly column: string;
  readonly depth: string;
  readonly perSecond: string;
}

/** The same as `bucketsOf`. */
const part = (column: string, share: number): Bucket => ({
  column,
  depth: `greatest(1, floor($6::double precision * ${share}))`,
  perSecond: `($7::double precision * ${share})`,
});
const ALL = part('empty_at', 1);
const ORDINARY = part('ordinary_empty_at', ORDINARY_PART);
const EXCHANGE = part('exchange_empty_at', EXCHANGE_PART);
const BUCKETS: Readonly<Record<Purpose, readonly Bucket[]>> = {
  caller: [ALL],
  calendar: [ALL, ORDINARY],
  proof: [ALL, ORDINARY],
  exchange: [ALL, ORDINARY, EXCHANGE],
};

/** The same as `emptiedAt`: what was emptied by a clock that was set back since is forgotten. */
const emptied = (column: string): string =>
  `case when s.${column} > broker_now() + interval '${MOST_DISORDER_S} seconds' then timestamptz 'epoch'
        else least(s.${column}, broker_now()) end`;

/** The same as `believable`; null where nothing is closed. */
const CLOSED_UNTIL = `case when s.closed_until <= broker_now() + interval '${MOST_RATE_LIMITED_S + MOST_SET_BACK_S} seconds' then s.closed_until end`;

/** A call that began at `begun` (seconds) was not under way already when the provider was closed. */
const isNoStraggler = (begun: string): string =>
  `coalesce(${CLOSED_UNTIL} <= to_timestamp(${begun}::double precision), true)`;

const held = ({ column, depth, perSecond }: Bucket): string =>
  `least(${depth}, extract(epoch from broker_now() - ${emptied(column)})::double precision * ${perSecond})`;

const taken = ({ column, depth, perSecond }: Bucket): string =>
  `${column} = greatest(${emptied(column)}, broker_now() - make_interval(secs => ${depth} / ${perSecond}))
     + make_interval(secs => used.calls / ${perSecond})`;

/** Misconfigured, or unreachable for so long that one call has to show whether it still is. */
const IS_PROBED = `(s.status = 'misconfigured' or s.failures >= ${FAILURES_TO_CLOSE})`;
/** A probe that is further off than it can have been put is believed no more than CLOSED_UNTIL is. */
const IS_PROBE_AHEAD = `s.probe_at between broker_now() and broker_now() + interval '${PROBE_EVERY_S + MOST_SET_BACK_S} seconds'`;
const MAY_PROBE = `(s.status <> 'misconfigured' or not ${IS_PROBE_AHEAD} or not $10 = any(s.credentials_tried))`;

/** Why nobody may ask now; null where somebody may. */
const CLOSED = {
  renewal: `case
    when s.paused_at is not null then 'paused'
    when s.mass_refused_at is not null then 'mass_refusals'
    when ${CLOSED_UNTIL} > broker_now() then s.closed_because
    when not ${MAY_PROBE} then 'misconfigured' end`,
  // An operator who asks for one renewal may be the first to see that it works again.
  urged: `case
    when s.paused_at is not null then 'paused'
    when s.mass_refused_at is not null then 'mass_refusals'
    when not ${MAY_PROBE} then 'misconfigured' end`,
  // What somebody has just brought may be just what works again; only who is asked too often is left alone.
  exchange: `case when ${CLOSED_UNTIL} > broker_now() and s.closed_because = 'rate_limited' then s.closed_because end`,
};

/** How a process calls its count of calls for consents and credentials. */
export const EXCHANGE_HOLDER = 'exchange ';

/** Calls count for the time of a lease; a time beyond that is from before the clock was set back. */
const isCounted = (count: string): string =>
  `(${count} ->> 'until')::double precision between ${EPOCH} and ${EPOCH} + $3::double precision + ${MOST_DISORDER_S}`;
const IS_COUNTED = isCounted('count');

/**
 * Calls that are out, of those replicas that began one within a lease: all that a replica began before is over, or lost. A
 * database that has forgotten calls which have ended since leaves no more room than there is.
 */
const inFlight = (which: string): string => `
  (select coalesce(sum(greatest(0, (count ->> 'begun')::bigint - greatest((count ->> 'ended')::bigint,
                       case when holder = $4 then $5::bigint else 0 end))), 0)::integer
   from jsonb_each(s.calls) as other (holder, count)
   where ${IS_COUNTED} and ${which})`;
const RENEWALS = inFlight(`holder not like '${EXCHANGE_HOLDER}%'`);
const EXCHANGES = inFlight(`holder like '${EXCHANGE_HOLDER}%'`);

/** The same as `slotsFor`. */
const share = (of: string, part: number): string => `greatest(1, floor(${of} * ${part})::integer)`;
const PLACES = `least(s.call_window, $8)`;
const ORDINARY_PLACES = share('$8', ORDINARY_PART);
const SLOTS: Readonly<Record<Purpose, string>> = {
  caller: `least($8 - renewals - exchanges, ${PLACES} - renewals)`,
  calendar: `least($8 - renewals - exchanges, greatest(1, ${ORDINARY_PLACES} - exchanges) - renewals,
    ${share(PLACES, ORDINARY_PART)} - renewals)`,
  proof: `${ORDINARY_PLACES} - renewals - exchanges`,
  exchange: `least($8 - renewals - exchanges, ${share('$8', EXCHANGE_PART)} - exchanges)`,
};

/**
 * Locks the provider's row and tells how many calls may begin, the same as `roomFor`. The lock comes after those on
 * connections that anybody waits for, so that two claims never wait for each other.
 *
 * @param wanted SQL that is true where there is something to take room for
 * @param urged SQL that is true for an operator, whom a failing provider does not keep from asking
 * @param forced SQL that is true where one call is made whatever is against it
 */
export const room = (purpose: Purpose, wanted: string, urged = 'false', forced = 'false'): string => {
  const credits = BUCKETS[purpose].map(held);
  const waits = BUCKETS[purpose].map((bucket) => `greatest(0, 1 - ${held(bucket)}) / ${bucket.perSecond}`);
  const closed = isBrought(purpose)
    ? CLOSED.exchange
    : `case when (${urged}) then ${CLOSED.urged} else ${CLOSED.renewal} end`;
  return `
  locked as materialized (
    select s.* from provider_states s where s.provider = $1 and (${wanted}) for update),
  seen as materialized (
    select s.provider, s.renewal_dialect, s.status = 'misconfigured' as misconfigured, ${IS_PROBED} as probed,
      s.call_window < $8 or s.failures > 0 as pressed, ${closed} as closed, s.closed_until,
      ${SLOTS[purpose]} as slots, floor(least(${credits.join(', ')}) + 1e-6)::integer as credit,
      greatest(${waits.join(', ')}) as refill_s, (${forced}) as forced
    from locked s, lateral (select ${RENEWALS} as renewals, ${EXCHANGES} as exchanges) as out),
  room as materialized (
    select seen.*, ${EPOCH} as at,
      case when forced then 1 when closed is not null then 0
           when probed and ${!isBrought(purpose)} then greatest(0, least(1, slots, credit)) else greatest(0, least(slots, credit)) end as calls,
      case when closed in ('rate_limited', 'unreachable')
             then extract(epoch from closed_until - broker_now())::double precision
           when slots <= 0 then 0.25 else refill_s end as wait_s
    from seen)`;
};

/** What this process had told of its calls; all of them have ended where that counts no more. */
const own = (count: 'begun' | 'ended'): string => `
  coalesce(case when ${isCounted(`s.calls -> $4`)}
                then (s.calls -> $4 ->> '${count}')::bigint end, $5::bigint)`;

/** This renewal is the probe. What people bring is none: a made-up code tells nothing, and would put the next probe off. */
const PROBED = `
      probe_at = case when s.status = 'misconfigured' then broker_now() + interval '${PROBE_EVERY_S} seconds' else s.probe_at end,
      credentials_tried = case when s.status = 'misconfigured'
        then array_remove(s.credentials_tried, $10::text) || $10::text else s.credentials_tried end,`;

/** Takes what `used.calls` says from the room, the same as `afterTaking`, and counts it as begun. */
export const take = (purpose: Purpose): string => `
  taken as (
    update provider_states s set
      ${BUCKETS[purpose].map(taken).join(',\n      ')},
      ${isBrought(purpose) ? '' : PROBED}
      calls = (select coalesce(jsonb_object_agg(holder, count), '{}') from jsonb_each(s.calls) as other (holder, count)
               where holder <> $4 and ${IS_COUNTED})
        || jsonb_build_object($4::text, jsonb_build_object(
             'begun', greatest(${own('begun')}, $5::bigint) + used.calls,
             -- Two statements of one process may overtake each other.
             'ended', greatest(${own('ended')}, $5::bigint),
             'until', ${EPOCH} + $3::double precision))
    from used where s.provider = $1 and used.calls > 0)`;

/** The columns of a `Room`, as they are called in the code; all null where nothing was locked. */
export const ROOM_COLUMNS = `
  room.at as "roomAt", room.closed as "roomClosed", room.wait_s as "roomWaitS", room.calls as "roomCalls", room.probed as "roomProbed",
  room.pressed as "roomPressed", room.misconfigured as "roomMisconfigured", room.renewal_dialect as "roomDialect",
  not exists (select from provider_states where provider = $1) as "rowMissing"`;

/** Statements on the pace of a provider. */
export const PACE_SQL = {
  /** A call that is about no connection. */
  take: (purpose: Purpose): { name: string; text: string } => ({
    name: `provider_take_${purpose}`,
    text: `with ${ASKED}, ${room(purpose, 'true')},
             used as (select least(1, calls) as calls from room), ${take(purpose)}
           select ${ROOM_COLUMNS}, used.calls as "taken" from asked left join room on true left join used on true`,
  }),

  /** This process has no more calls in flight than these: $2 holder, $3 ended. */
  ended: {
    name: 'provider_calls_ended',
    text: `update provider_states set calls = jsonb_set(calls, array[$2::text, 'ended'], to_jsonb($3::bigint))
           where provider = $1 and (calls -> $2 ->> 'ended')::bigint < $3`,
  },

  /** The same as `afterWorking`. $2 concurrency, $3 when the call began. */
  worked: {
    name: 'provider_paced_up',
    text: `update provider_states s set failures = 0, last_failed = null,
             call_window = case when ${isNoStraggler('$3')} then least($2, call_window * 2) else call_window end
           where provider = $1 and (failures > 0 or call_window < $2)`,
  },

  /**
   * The same as `afterFailing`, unless it is the connection that failed last. $2 connection, $3 drawn from 0 up to 1, $4 when
   * the call began.
   */
  failed: {
    name: 'provider_failed',
    text: `update provider_states s set last_failed = $2, failures = failures + 1,
             call_window = case when failures + 1 >= ${FAILURES_TO_CLOSE} then 1 else call_window end,
             closed_because = case when failures + 1 >= ${FAILURES_TO_CLOSE} then 'unreachable' else closed_because end,
             closed_until = case when failures + 1 >= ${FAILURES_TO_CLOSE}
               then broker_now() + make_interval(secs => least(${MOST_CLOSED_S},
                 ${FIRST_CLOSED_S} * 2 ^ least(failures + 1 - ${FAILURES_TO_CLOSE}, 20)) * (0.5 + $3::double precision / 2))
               else closed_until end
           where provider = $1 and last_failed is distinct from $2::uuid
             and ${isNoStraggler('$4')}
           returning closed_until > broker_now() as closed, failures`,
  },

  /** The same as `afterRateLimit`. $2 seconds. True where it was not left alone for this already. */
  rateLimited: {
    name: 'provider_rate_limited',
    text: `with former as materialized (
             select coalesce(${CLOSED_UNTIL} > broker_now() and closed_because = 'rate_limited', false) as limited
             from provider_states s where provider = $1 for update)
           update provider_states s set call_window = 1, closed_because = 'rate_limited',
             closed_until = greatest(${CLOSED_UNTIL}, broker_now() + make_interval(secs => $2))
           from former where s.provider = $1
           returning not former.limited as "isNews"`,
  },
} as const;
