-- Why: two questions that are answered by few rows. Indexes in a step of their own: readers go on while they are made, and
-- writers of 0.1.0 wait for no more than this.

-- What ends by itself, since nothing renews it? Asked by the schedule at every tick.
create index connections_lapsing on connections (provider, expires_at)
  where sealed_grant is null and expires_at is not null and status in ('active', 'suspect');

-- The same grant kept twice would end itself: is this one there already?
create index connections_by_credential on connections (provider, credential_fingerprint)
  where credential_fingerprint is not null;
