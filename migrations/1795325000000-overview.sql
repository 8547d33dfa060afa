-- Why: operators see how a million connections stand without anybody reading a million rows. Where every row changes each
-- hour, no index spares that; so how many there are of each provider in each status is kept while they change: as what was
-- added, which any number of writers may write at once, and which is summed up from time to time. The release before writes
-- it, too, since the table does so by itself; it costs a row for each connection whose status changes, and nothing else.
create table connection_tallies (
  provider text not null,
  status text not null,
  added bigint not null
);

-- In the name of whoever owns the table: who writes connections may have no right to this one.
create function tally_connections() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op = 'INSERT' then
    insert into connection_tallies select provider, status, count(*) from changed group by provider, status;
  elsif tg_op = 'DELETE' then
    insert into connection_tallies select provider, status, -count(*) from changed group by provider, status;
  elsif tg_op = 'TRUNCATE' then
    delete from connection_tallies;
  else
    insert into connection_tallies values (old.provider, old.status, -1), (new.provider, new.status, 1);
  end if;
  return null;
end $$;

create trigger tally_inserted after insert on connections
  referencing new table as changed for each statement execute function tally_connections();
create trigger tally_deleted after delete on connections
  referencing old table as changed for each statement execute function tally_connections();
create trigger tally_moved after update on connections
  for each row when (old.status is distinct from new.status or old.provider is distinct from new.provider)
  execute function tally_connections();
create trigger tally_emptied after truncate on connections for each statement execute function tally_connections();

-- Writers wait since the triggers were made, so that none is counted twice or missed: half a second at a million rows.
insert into connection_tallies select provider, status, count(*) from connections group by provider, status;

-- What the renewals of each hour came to, counted in memory and written every few seconds.
create table renewals_by_hour (
  provider text not null,
  hour timestamptz not null,
  renewed bigint not null,
  failed bigint not null,
  primary key (provider, hour)
);
