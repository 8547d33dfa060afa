-- Why: anybody may say that a company has uninstalled an extension. The word is kept until it has been proven by asking
-- the provider: over a restart, once among all replicas, and not more often than is good for the provider.

create table uninstall_hints (
  provider text not null,
  company_id text not null,
  -- When it is to be proven; null: it has been.
  proof_at timestamptz,
  proven_at timestamptz,
  -- In the hands of a replica until then; one that was killed meanwhile leaves it to another.
  taken_until timestamptz,
  -- The last signed hint that was proven at once: what was proven for anybody's word must not hold up a signed one.
  signed_at timestamptz,
  tries integer not null default 0,
  primary key (provider, company_id)
);
create index uninstall_hints_due on uninstall_hints (coalesce(taken_until, proof_at))
  where proof_at is not null or taken_until is not null;
