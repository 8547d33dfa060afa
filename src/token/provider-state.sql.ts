/** Every statement on `provider_states`. */
export const SQL = {
  ensure: {
    text: `insert into provider_states (provider) select unnest($1::text[]) on conflict (provider) do nothing`,
  },

  /** $1 the names. A failure counts until the way there was seen to work again. */
  list: {
    name: 'providers_list',
    text: `select provider, renewal_dialect as "renewalDialect", status = 'misconfigured' as misconfigured,
             paused_at is not null as paused, rotation_observed as "rotationObserved",
             lifetime_observed_s as "lifetimeObservedS", clock_skew_s as "clockSkewS", last_error as "lastError",
             coalesce(last_error_at > coalesce(last_success_at, '-infinity'), false) as failing,
             credentials_since as "credentialsSince", mass_refused_at as "massRefusedAt",
             case when closed_until > broker_now() then closed_because end as "leftAlone",
             case when closed_until > broker_now() then closed_until end as "leftAloneUntil",
             failures, call_window as "callWindow"
           from provider_states where provider = any($1::text[])`,
  },

  listHeldBack: {
    name: 'providers_held_back',
    text: `select provider, status = 'misconfigured' as misconfigured, paused_at is not null or mass_refused_at is not null as paused
           from provider_states where status = 'misconfigured' or paused_at is not null or mass_refused_at is not null
           order by provider`,
  },

  /** $2 that worked, $3 that did not. */
  countRenewals: {
    name: 'renewals_count',
    text: `with old as (
             delete from renewals_by_hour where provider = $1 and hour < broker_now() - interval '2 days')
           insert into renewals_by_hour as r (provider, hour, renewed, failed)
           values ($1, date_trunc('hour', broker_now()), $2, $3)
           on conflict (provider, hour) do update set
             renewed = r.renewed + excluded.renewed, failed = r.failed + excluded.failed`,
  },

  lockStatus: { text: `select status from provider_states where provider = $1 for update` },

  worked: {
    name: 'provider_worked',
    text: `insert into provider_states as s (provider, renewal_dialect, last_success_at) values ($1, $2, broker_now())
           on conflict (provider) do update set
             renewal_dialect = excluded.renewal_dialect, status = 'ok', last_error = null, probe_at = null,
             credentials_tried = '{}', last_success_at = excluded.last_success_at,
             updated_at = broker_now()
           where s.renewal_dialect is distinct from excluded.renewal_dialect or s.status <> 'ok'`,
  },

  /** Reads what was there as its own source, since it would find the row changed where it looked only in returning. */
  misconfigured: {
    name: 'provider_misconfigured',
    text: `with former as materialized (select status from provider_states where provider = $1 for update),
             was as materialized (select (select status from former) as status)
           insert into provider_states as s
             (provider, status, last_error, last_error_at, credentials_tried, probe_at)
           select $1, 'misconfigured', $2, broker_now(), array[$3::text], broker_now() + make_interval(secs => $4) from was
           on conflict (provider) do update set
             status = 'misconfigured', last_error = excluded.last_error, last_error_at = excluded.last_error_at,
             probe_at = excluded.probe_at, call_window = 1,
             credentials_tried = array_remove(s.credentials_tried, $3::text) || $3::text,
             updated_at = broker_now()
           returning (select status from was) is distinct from 'misconfigured' as "isNews"`,
  },

  /** Again changes nothing, and returns no row. */
  pause: {
    text: `insert into provider_states as s (provider, paused_at) values ($1, broker_now())
           on conflict (provider) do update set paused_at = excluded.paused_at, updated_at = broker_now()
           where s.paused_at is null returning false as "endsMass"`,
  },

  /** Also ends a stop after mass refusals: somebody has looked, and what was refused until now counts no more. */
  resume: {
    text: `with former as materialized (
             select provider, mass_refused_at is not null as is_mass from provider_states where provider = $1 for update)
           update provider_states s set paused_at = null, mass_refused_at = null, call_window = 1,
             refusals_counted_from = case when is_mass then broker_now() else refusals_counted_from end,
             updated_at = broker_now()
           from former where s.provider = former.provider and (s.paused_at is not null or is_mass)
           returning is_mass as "endsMass"`,
  },

  /** Ends a stop after mass refusals, and no pause of an operator's. */
  goOn: {
    text: `update provider_states set mass_refused_at = null, call_window = 1, refusals_counted_from = broker_now(),
             updated_at = broker_now()
           where provider = $1 and mass_refused_at is not null returning true as "endsMass"`,
  },

  /**
   * $2 rotation, $3 whether a lifetime was seen and $4 which, $5 skew, $6 error and $7 seconds since, $8 seconds since it
   * last worked. Null is: not seen. Replicas write over each other, but never an older time over a newer one.
   */
  observe: {
    name: 'provider_observe',
    text: `insert into provider_states as s
             (provider, rotation_observed, lifetime_observed_s, clock_skew_s, last_error, last_error_at, last_success_at)
           values ($1, $2, $4::double precision, $5::double precision, $6,
             broker_now() - make_interval(secs => $7), broker_now() - make_interval(secs => $8))
           on conflict (provider) do update set
             rotation_observed = coalesce(excluded.rotation_observed, s.rotation_observed),
             lifetime_observed_s = case when $3::boolean then excluded.lifetime_observed_s
                                        else s.lifetime_observed_s end,
             clock_skew_s = coalesce(excluded.clock_skew_s, s.clock_skew_s),
             last_error = case when excluded.last_error_at > coalesce(s.last_error_at, '-infinity')
                               then excluded.last_error else s.last_error end,
             last_error_at = greatest(s.last_error_at, excluded.last_error_at),
             last_success_at = greatest(s.last_success_at, excluded.last_success_at),
             updated_at = broker_now()`,
  },

  /** $2 the fingerprint in force here, $3 how many are remembered. One that was ever seen before moves nothing. */
  seeCredentials: {
    text: `insert into provider_states as s (provider, credentials_fingerprint, credentials_since, credentials_seen)
           values ($1, $2, broker_now(), array[$2::text])
           on conflict (provider) do update set
             credentials_fingerprint = excluded.credentials_fingerprint, credentials_since = broker_now(),
             credentials_seen = (excluded.credentials_seen || s.credentials_seen)[1:$3::integer],
             updated_at = broker_now()
           where not $2 = any(s.credentials_seen)`,
  },
} as const;
