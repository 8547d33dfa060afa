-- Why: afterwards anybody can tell who got which token, and who changed what. In parts by week, so that what is old is
-- dropped as a whole and never deleted row by row; the broker makes and drops them. What belongs to no part that exists
-- lies in the last one, so that no change fails for want of a part.
create table audit_events (
  id uuid not null,
  at timestamptz not null,
  -- Reads of a minute are one event, from `at` to `last_at`.
  last_at timestamptz not null,
  count integer not null default 1,
  actor text not null,
  action text not null,
  outcome text not null check (outcome in ('allowed', 'denied', 'failed')),
  resource text not null,
  connection_id uuid,
  token_version integer,
  token_fingerprint text,
  -- Until when the token that was handed out lives; null where it has no end, or none was.
  token_expires_at timestamptz,
  source_ip inet,
  key_id text,
  request_id text,
  reason text,
  primary key (at, id)
) partition by range (at);

create index audit_events_by_actor on audit_events (actor, at, id);
create index audit_events_by_connection on audit_events (connection_id, at, id);

create table audit_events_rest partition of audit_events default;
