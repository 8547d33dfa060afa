-- Why: three questions that must not look at a million rows. In a step of their own: readers go on while the indexes are
-- made, and writers wait for no more than this.

-- A backlog is taken by what expires soonest, however long it is.
create index connections_by_deadline on connections (provider, expires_at, id) where renew_at is not null;
-- How many were refused lately?
create index connections_refused on connections (provider, refused_at) where refused_at is not null;
-- Which have been dead for how long?
create index connections_dead on connections (provider, died_at) where died_at is not null;
