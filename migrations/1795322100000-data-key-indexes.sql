-- Why: how many rows are sealed by which keys is answered by an index of few megabytes, whose entries are all alike, and what
-- is left to be sealed anew is found by it. Readers go on while they are made; writers wait.
create index connections_by_data_key on connections (sealed_token_key, sealed_grant_key);
create index online_sessions_by_data_key on online_sessions (sealed_token_key);
