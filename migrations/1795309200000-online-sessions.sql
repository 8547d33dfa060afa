-- Why: online tokens. Each belongs to one user of one company and nothing renews it, so it gets a table of its own: the
-- engine's rows are a company's or a location's, and no query on them can ever come upon a user's token.

create table online_sessions (
  id uuid primary key,
  provider text not null,
  company_id text not null,
  -- Null: the provider did not tell whose it is.
  user_id text,

  -- What the browser was sent away with (SHA-256), until the extension's backend has traded it for a session's id.
  ticket_hash bytea unique,
  ticket_expires_at timestamptz,
  session_hash bytea unique,

  -- Erased once it has expired, while the row goes on saying so for a day. expires_at null: it never expires.
  sealed_token bytea,
  token_type text not null,
  scopes text[] not null default '{}',
  token_fingerprint text not null,
  issued_at timestamptz not null,
  expires_at timestamptz,
  -- When a caller said that the provider refuses it.
  reported_at timestamptz,

  created_at timestamptz not null default broker_now(),

  constraint online_sessions_ticket_or_session check ((ticket_hash is null) <> (session_hash is null)),
  constraint online_sessions_ticket_ends check ((ticket_hash is null) = (ticket_expires_at is null))
);

-- All of a company's: when the extension is uninstalled.
create index online_sessions_by_company on online_sessions (provider, company_id);
-- What is over: tickets that nobody traded, tokens to be erased, rows to be forgotten.
create index online_sessions_untraded on online_sessions (ticket_expires_at) where session_hash is null;
create index online_sessions_sealed on online_sessions (expires_at) where session_hash is not null and sealed_token is not null;
create index online_sessions_expiry on online_sessions (expires_at) where session_hash is not null;
