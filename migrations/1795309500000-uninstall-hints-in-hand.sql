-- Why: a replica that was killed while it proved an uninstall took the hint with it, since the row said nothing of being in
-- somebody's hands. Now it says until when, and is taken again by another after that. And what was proven for anybody's
-- word must not hold up a signed one.

alter table uninstall_hints
  add column taken_until timestamptz,
  -- The last signed hint that was proven at once.
  add column signed_at timestamptz;
drop index uninstall_hints_due;
create index uninstall_hints_due on uninstall_hints (coalesce(taken_until, proof_at))
  where proof_at is not null or taken_until is not null;
