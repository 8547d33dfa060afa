import { tellOf } from '../outbox/outbox.sql.js';
import { ROTATION_DUE_S } from './connection.js';

/** What expires is told this many seconds before: 7 days; of what lives for less than 35, when this part of its life is left. */
const EXPIRING_S = 7 * 86_400;
const EXPIRING_PART = 0.2;

/** Deadlines that are told of in one statement. */
export const MOST_REMINDED = 500;

/** Statements on `outbox_reminders`: what time will bring, and nobody else tells. */
export const DEADLINE_SQL = {
  /**
   * What is to be told of connection $1 before it expires, where nobody renews it, and before its secret is to be replaced. Of
   * a deadline that was told of already, nothing changes; those that it has no more are over.
   */
  remind: {
    name: 'connection_remind',
    text: `with given as (
             select c.id, each.kind, each.deadline, each.due_at from connections c cross join lateral (values
               ('expiring', case when c.sealed_grant is null then c.expires_at end,
                c.expires_at - least(interval '${EXPIRING_S} seconds', (c.expires_at - broker_now()) * ${EXPIRING_PART})),
               ('rotation_due', c.rotate_by, c.rotate_by - interval '${ROTATION_DUE_S} seconds')
             ) as each (kind, deadline, due_at) where c.id = $1 and each.deadline is not null),
           over as (
             delete from outbox_reminders where connection_id = $1 and kind not in (select kind from given))
           insert into outbox_reminders as r (connection_id, kind, deadline, due_at)
           select id, kind, deadline, due_at from given
           on conflict (connection_id, kind) do update set deadline = excluded.deadline, due_at = excluded.due_at
             where r.deadline <> excluded.deadline`,
  },

  /**
   * Tells what is due, once a deadline, of connections that still have it. Locks connections before reminders, as whoever
   * keeps a grant does; what somebody else is writing is looked at the next time.
   */
  tellDue: {
    name: 'connection_tell_due',
    text: `with due as materialized (
             select r.kind, r.deadline, c.*
             from outbox_reminders r join connections c on c.id = r.connection_id
             where r.due_at <= broker_now() order by r.due_at limit ${MOST_REMINDED} for update of c skip locked),
           reminded as (
             update outbox_reminders r set due_at = null from due
             where r.connection_id = due.id and r.kind = due.kind and r.deadline = due.deadline and r.due_at is not null
             returning due.*),
           ${tellOf(
             `reminded where
                (kind = 'rotation_due' and rotate_by = deadline and status <> 'revoked')
                or (kind = 'expiring' and expires_at = deadline and expires_at > broker_now() and sealed_grant is null
                    and status in ('active', 'suspect', 'paused'))`,
             `case kind when 'expiring' then 'connection.expiring' else 'connection.rotation_due' end`,
             {
               id: 'id',
               provider: 'provider',
               companyId: 'company_id',
               locationId: 'location_id',
               status: 'status',
               statusReason: 'status_reason',
               tokenVersion: 'token_version',
               expiresAt: 'expires_at',
               rotateBy: 'rotate_by',
             },
           )}
           select count(*)::integer as reminded from reminded`,
  },
} as const;
