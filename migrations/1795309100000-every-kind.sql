-- Why: connections of every kind. A token that a person made in a portal has a type, may be in the hands of somebody
-- else, and ends without anything that could renew it. A revocation that a provider could not be told is owed to it.

-- The rules are for new rows: no row that is there has any of these, and looking at all of them would hold up readers.
alter table connections
  -- Of a token made by hand; null for everything else.
  add column credential_type text,
  add column shared_externally boolean not null default false,
  -- What the provider was told of a revocation here.
  add column upstream_revocation text,
  add constraint connections_credential_type
    check (credential_type in ('personal', 'service', 'base', 'test')) not valid,
  add constraint connections_upstream_revocation
    check (upstream_revocation in ('revoked', 'owed', 'unsupported')) not valid;

-- Grants that were revoked here while their provider could not be told. Sealed, and erased once it has been.
create table owed_revocations (
  id uuid primary key,
  connection_id uuid not null,
  provider text not null,
  company_id text not null,
  sealed_secrets bytea not null,
  attempts integer not null default 0,
  next_try_at timestamptz not null,
  give_up_at timestamptz not null
);
create index owed_revocations_due on owed_revocations (next_try_at);
