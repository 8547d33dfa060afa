-- Why: anybody may say that a company has uninstalled an extension. The word is kept until it has been proven by asking
-- the provider: over a restart, once among all replicas, and not more often than is good for the provider.

create table uninstall_hints (
  provider text not null,
  company_id text not null,
  -- When it is to be proven; null: it has been.
  proof_at timestamptz,
  proven_at timestamptz,
  tries integer not null default 0,
  primary key (provider, company_id)
);
create index uninstall_hints_due on uninstall_hints (proof_at) where proof_at is not null;
