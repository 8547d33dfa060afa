-- Why: where nothing is sealed there is no key, which the default of the step before could not tell. In a step of its own: the
-- table is locked by that one, and by this one only these rows, which nobody renews.
update connections set
  sealed_token_key = case when sealed_token is not null then sealed_token_key end,
  sealed_grant_key = case when sealed_grant is not null then sealed_grant_key end
where (sealed_token is null and sealed_token_key is not null) or (sealed_grant is null and sealed_grant_key is not null);

update online_sessions set sealed_token_key = null where sealed_token is null and sealed_token_key is not null;
