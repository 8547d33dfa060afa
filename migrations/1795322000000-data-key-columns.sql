-- Why: a data key is replaced while everything runs, and row by row what it has sealed is sealed anew. Which rows those are,
-- and how many, must not take reading what is sealed of a million rows: its key stands beside each sealed column, as short as an
-- id. A trigger writes it, so that it is right whoever writes the row: the release before this one, too.

-- Format 1: one byte 1 | data key id (16 bytes) | …; null of what is nothing of ours.
create function data_key_of(sealed bytea) returns uuid language sql immutable strict parallel safe
  as $$ select case when length(sealed) > 17 and get_byte(sealed, 0) = 1
                    then encode(substring(sealed from 2 for 16), 'hex')::uuid end $$;

-- Until now there was one key that seals. As a default it is told of every row that is there without writing any.
do $$
declare first uuid := (select id from data_keys where purpose = 'seal' order by created_at desc, id limit 1);
begin
  execute format('alter table connections add column sealed_token_key uuid default %1$L,
                                          add column sealed_grant_key uuid default %1$L', first);
  execute format('alter table online_sessions add column sealed_token_key uuid default %L', first);
  execute format('alter table owed_revocations add column sealed_secrets_key uuid default %L', first);
end $$;
alter table connections alter sealed_token_key drop default, alter sealed_grant_key drop default;
alter table online_sessions alter sealed_token_key drop default;
alter table owed_revocations alter sealed_secrets_key drop default;

create function note_keys_of_connection() returns trigger language plpgsql as $$
begin
  new.sealed_token_key := data_key_of(new.sealed_token);
  new.sealed_grant_key := data_key_of(new.sealed_grant);
  return new;
end $$;
create trigger connections_data_keys before insert or update of sealed_token, sealed_grant on connections
  for each row execute function note_keys_of_connection();

create function note_key_of_session() returns trigger language plpgsql as $$
begin
  new.sealed_token_key := data_key_of(new.sealed_token);
  return new;
end $$;
create trigger online_sessions_data_keys before insert or update of sealed_token on online_sessions
  for each row execute function note_key_of_session();

create function note_key_of_owed_revocation() returns trigger language plpgsql as $$
begin
  new.sealed_secrets_key := data_key_of(new.sealed_secrets);
  return new;
end $$;
create trigger owed_revocations_data_keys before insert or update of sealed_secrets on owed_revocations
  for each row execute function note_key_of_owed_revocation();
