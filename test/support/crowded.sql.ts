/** Connections enough that a picture of the console looks like one in service; none of them is ever renewed. */
export const CROWDED = `
  insert into connections (id, provider, company_id, location_id, status, status_reason, sealed_grant, token_version,
    token_fingerprint, issued_at, expires_at, last_renewed_at, consecutive_failures, last_error)
  select gen_random_uuid(), case when n % 4 = 0 then 'konnect' when n % 9 = 0 then 'connect' else 'fynd' end, (1200 + n)::text,
    case when n % 4 = 0 then (n % 7)::text end,
    case when n % 61 = 0 then 'suspect' when n % 83 = 0 then 'reauthorization_required' when n % 97 = 0 then 'paused' else 'active' end,
    case when n % 61 = 0 then 'unknown_outcome' when n % 83 = 0 then 'invalid_grant' when n % 97 = 0 then 'paused_by_operator' end,
    '\\x00', 1 + n % 40, left(md5(n::text), 24), broker_now() - interval '1 hour',
    broker_now() + make_interval(mins => 20 + (n * 7919) % 1300), broker_now() - make_interval(mins => n % 60), 0, null
  from generate_series(1, 480) n`;

/** What a day of renewals came to, with two hours in which a provider failed. */
export const BUSY_DAY = `
  insert into renewals_by_hour
  select 'fynd', date_trunc('hour', broker_now()) - make_interval(hours => n), 22 + (n * 37) % 14,
    case when n in (5, 6) then 9 else 0 end
  from generate_series(0, 23) n
  on conflict (provider, hour) do update set renewed = excluded.renewed`;
