-- Why: whoever signs out of the console is out everywhere, with every copy of the cookie that holds the session. Sessions lie in
-- browsers alone; only those that ended before their time stand here, until they would have ended by themselves.
-- Only a table is added: the release before does not know it, nor the console.
create table ended_sessions (
  id uuid primary key,
  until timestamptz not null
);
