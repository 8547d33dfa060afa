-- Why: the first schema. One row per provider, company and location for ever; the keys that seal them; what each
-- provider was seen to do; and the two small memories that stop a replay and a guessing game.

-- The one clock that leases, expiry and the calendar live by, so that replicas whose own clocks differ agree. Stable,
-- so that an index on a time can be used with it; in a function, so that tests can move time.
create function broker_now() returns timestamptz language sql stable parallel safe
  as $$ select statement_timestamp() $$;

-- Random keys that seal the rows, each wrapped by a key-encryption key that never enters the database.
create table data_keys (
  id uuid primary key,
  purpose text not null check (purpose in ('seal', 'fingerprint', 'sign')),
  kek_id text not null,
  wrapped bytea not null,
  created_at timestamptz not null default broker_now()
);

create table connections (
  id uuid primary key,
  provider text not null,
  company_id text not null,
  location_id text,
  status text not null
    check (status in ('active', 'suspect', 'reauthorization_required', 'paused', 'revoked')),
  status_reason text,
  scopes text[] not null default '{}',

  -- What a new token is made from. grant_version grows whenever somebody outside the engine changes it.
  grant_version integer not null default 1,
  sealed_grant bytea,
  credential_fingerprint text,
  -- A secret that a person made is to be replaced by then.
  rotate_by timestamptz,

  -- The token in hand. expires_at null: it never expires.
  token_version integer not null default 0,
  sealed_token bytea,
  token_type text,
  token_fingerprint text,
  issued_at timestamptz,
  expires_at timestamptz,
  renewed_lifetime_s double precision,

  -- When the engine next tries: the calendar, a backoff, or the time after which a claim that nobody came back from
  -- is looked at. Null: never by itself.
  renew_at timestamptz,
  last_renewed_at timestamptz,
  last_error text,
  consecutive_failures integer not null default 0,
  refusals integer not null default 0,

  -- The lease and its fence. lease_until with an owner, and in the past: the owner died.
  lease_owner text,
  lease_until timestamptz,
  lease_epoch bigint not null default 0,
  attempts integer not null default 0,
  unknown_outcome text check (unknown_outcome in ('crash', 'no_answer')),
  crashes integer not null default 0,
  refresh_token_kept boolean,

  -- Reports of a 401, spaced.
  reported_version integer,
  reported_at timestamptz,
  report_spacing_s integer not null default 0,

  created_at timestamptz not null default broker_now(),
  updated_at timestamptz not null default broker_now(),

  constraint connections_subject unique nulls not distinct (provider, company_id, location_id),
  constraint connections_sealed_while_alive check (status <> 'revoked' or (sealed_grant is null and sealed_token is null))
);

-- The schedule's one question: what is due?
create index connections_due on connections (provider, renew_at) where renew_at is not null;
-- Lists: by company, by status, each keyset-paged by id.
create index connections_by_company on connections (company_id, id);
create index connections_by_status on connections (status, id);

-- What is known of each provider, shared by all replicas.
create table provider_states (
  provider text primary key,
  renewal_dialect text,
  status text not null default 'ok' check (status in ('ok', 'misconfigured')),
  last_error text,
  -- Fingerprints of the credentials that were refused or tried since: one that is new is tried at once.
  credentials_tried text[] not null default '{}',
  probe_at timestamptz,
  updated_at timestamptz not null default broker_now()
);

-- States of the authorization flow that have come back: each works once. Starting a flow writes nothing.
create table consumed_states (
  state_hash bytea primary key,
  expires_at timestamptz not null
);
create index consumed_states_expiry on consumed_states (expires_at);

-- Proofs of credentials that are being made or were refused, so that nobody can guess through the broker.
create table credential_proofs (
  id uuid primary key,
  caller text not null,
  at timestamptz not null default broker_now(),
  refused boolean not null default false
);
create index credential_proofs_recent on credential_proofs (caller, at);
