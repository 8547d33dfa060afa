-- Why: each service gets a key of its own, or vouches for itself with its platform's token, and may do just what it
-- needs. Keys are random enough that a fast hash keeps them; nobody can read one back.
create table clients (
  id uuid primary key,
  name text not null,
  -- [{"action", "resource"}]
  permissions jsonb not null,
  -- Whose tokens it comes with instead of a key.
  issuer text,
  subject text,
  -- Kept as CLIENTS_FILE says, and changed nowhere else.
  from_file boolean not null default false,
  expires_at timestamptz,
  last_used_at timestamptz,
  created_by text not null,
  created_at timestamptz not null default broker_now(),
  updated_at timestamptz not null default broker_now(),
  -- The trail goes on naming it.
  deleted_at timestamptz,
  check ((issuer is null) = (subject is null))
);

create unique index clients_workload on clients (issuer, subject) where deleted_at is null and issuer is not null;
create unique index clients_of_file on clients (name) where deleted_at is null and from_file;
create index clients_living on clients (id) where deleted_at is null;

create table client_keys (
  -- The part of the key that is no secret.
  id text primary key,
  client_id uuid not null references clients (id),
  -- SHA-256 of the whole key.
  hash bytea not null,
  created_by text not null,
  created_at timestamptz not null default broker_now(),
  expires_at timestamptz not null,
  last_used_at timestamptz
);

create index client_keys_of_client on client_keys (client_id);
