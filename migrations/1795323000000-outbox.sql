-- Why: other systems are told what has become of a connection or a provider. What happened is written with the change that
-- caused it, neither without the other; who is to be told, and whether they were, stands apart and may change by itself.
-- Only tables are added: the release before knows none of them, and what it changes meanwhile is told to nobody.

-- What happened. It names no secret: ids, codes and times.
create table outbox_events (
  -- The order in which it happened, of one connection or provider: whoever writes it holds that row.
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  at timestamptz not null,
  type text not null,
  -- What it is about, within which the order is kept: a connection's id, or a provider's name.
  subject text not null,
  -- As text, so that it is told again just as it was told first.
  content json not null,
  -- Whether it is known to whom it goes; null: not yet.
  spread_at timestamptz
);
create index outbox_events_unspread on outbox_events (seq) where spread_at is null;
create index outbox_events_old on outbox_events (at);

-- What time itself will bring, and when it is to be told. due_at null: it was, of that deadline.
create table outbox_reminders (
  connection_id uuid not null,
  kind text not null check (kind in ('expiring', 'rotation_due')),
  deadline timestamptz not null,
  due_at timestamptz,
  primary key (connection_id, kind)
);
create index outbox_reminders_due on outbox_reminders (due_at) where due_at is not null;

-- Whoever made a secret before is to be told, too. As ROTATION_DUE_S.
insert into outbox_reminders (connection_id, kind, deadline, due_at)
select id, 'rotation_due', rotate_by, rotate_by - interval '14 days'
from connections where rotate_by is not null and status <> 'revoked';
-- As EXPIRING_S says, as if the whole of its life lay before it.
insert into outbox_reminders (connection_id, kind, deadline, due_at)
select id, 'expiring', expires_at, expires_at - least(interval '7 days', (expires_at - broker_now()) / 5)
from connections
where sealed_grant is null and expires_at > broker_now() and status in ('active', 'suspect', 'paused');

-- Who is told, as the replicas have read it from their files.
create table webhook_receivers (
  name text primary key,
  events text[] not null,
  -- What happened before is not told to it.
  since timestamptz not null default broker_now(),
  -- When a replica last had it in its file.
  seen_at timestamptz not null default broker_now(),
  -- Fingerprint of its address: one that is new opens what was disabled.
  address text not null,
  -- It has answered 410.
  disabled_at timestamptz,
  -- Failures in a row; while there are any it is asked one thing at a time, and not before closed_until.
  failures integer not null default 0,
  closed_until timestamptz,
  probe_until timestamptz,
  last_error text,
  last_status integer,
  last_failed_at timestamptz,
  last_delivered_at timestamptz
);

-- What is told to whom, and how that went.
create table webhook_deliveries (
  receiver text not null references webhook_receivers (name) on delete cascade,
  seq bigint not null references outbox_events (seq) on delete cascade,
  subject text not null,
  state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
  attempts integer not null default 0,
  waiting_since timestamptz not null,
  -- From when on it is tried, for as long as the broker tries; and when it is tried next.
  begun_at timestamptz,
  due_at timestamptz not null,
  -- In the hands of a replica until then; one that was killed meanwhile leaves it to another.
  taken_at timestamptz,
  taken_until timestamptz,
  last_error text,
  last_status integer,
  settled_at timestamptz,
  primary key (receiver, seq)
);
create index webhook_deliveries_due on webhook_deliveries (receiver, due_at) where state = 'waiting';
create index webhook_deliveries_order on webhook_deliveries (receiver, subject, seq) where state = 'waiting';
create index webhook_deliveries_dead on webhook_deliveries (receiver, seq) where state = 'dead';
create index webhook_deliveries_of_event on webhook_deliveries (seq);
