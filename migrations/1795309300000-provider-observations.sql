-- Why: operators see per provider what it was seen to do, pause it, and are told when its client secret is due for
-- rotation. Columns are only added, each nullable or with a default: the release before knows none of them and goes on
-- working, though it does not hold still for a pause.
alter table provider_states
  -- Set while an operator has paused it. Apart from status, so that a pause outlives whatever the provider answers.
  add column paused_at timestamptz,

  -- What renewals and their answers showed, written every few seconds and never per renewal.
  add column rotation_observed text check (rotation_observed in ('none', 'rotating')),
  add column lifetime_observed_s double precision,
  -- Their clock minus ours.
  add column clock_skew_s double precision,
  -- When the way there last failed, and when it last worked: a token, or a verdict on a grant.
  add column last_error_at timestamptz,
  add column last_success_at timestamptz,

  -- The newest client credentials, and since when they are in use. A fingerprint that was seen before is no news:
  -- while a secret is rotated, replicas with the old one and the new one stand side by side.
  add column credentials_fingerprint text,
  add column credentials_since timestamptz,
  add column credentials_seen text[] not null default '{}';
