-- Why: all replicas together ask a provider only so fast, leave it alone while it fails, and stop before a provider that
-- refuses everybody has ended more than a few grants. What a renewal needs to know of that stands in one row, so that a claim
-- takes its place in the same statement. Columns are only added, each nullable or with a default: the release before knows
-- none of them, and goes on working at its own pace.
alter table provider_states
  -- When the buckets were last empty: of all calls, of those that nobody waits for, of exchanges. They refill with time.
  add column empty_at timestamptz not null default 'epoch',
  add column ordinary_empty_at timestamptz not null default 'epoch',
  add column exchange_empty_at timestamptz not null default 'epoch',
  -- Calls that may be in flight: one at first, doubling with each that works.
  add column call_window integer not null default 1,
  -- By replica, how many calls it has begun and ended, and until when that counts should it not come back.
  add column calls jsonb not null default '{}',
  -- Failures of the way there since it last worked, and of which connection the last was.
  add column failures integer not null default 0,
  add column last_failed uuid,
  add column closed_until timestamptz,
  add column closed_because text check (closed_because in ('rate_limited', 'unreachable')),

  -- Set while nobody is asked because too many were refused; a person has to look.
  add column mass_refused_at timestamptz,
  -- Refusals before this time were looked at.
  add column refusals_counted_from timestamptz,
  -- How many may be refused, and when that was counted.
  add column refusals_allowed integer,
  add column refusals_allowed_at timestamptz;

alter table connections
  -- The last refusal, and since when the grant is taken to be dead: what is to be tried again if that was a mistake.
  add column refused_at timestamptz,
  add column died_at timestamptz;

update connections set died_at = updated_at where status = 'reauthorization_required';
