-- Why: what a caller has got is told token by token, a page at a time: each is found without the reads that it was got by,
-- of which there may be a thousand a day, and so is the end of one that its provider has ended. A session's token has no
-- connection; it lies after all others.
create index audit_events_by_token on audit_events
  (actor, (coalesce(connection_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)), token_version, token_fingerprint, at)
  where outcome = 'allowed' and reason is null and token_version is not null;

create index audit_events_of_ends on audit_events (connection_id, token_version, at) where reason = 'token_ended';
