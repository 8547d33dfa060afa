import { columns, seconds, tellReplicas } from './connection-row.sql.js';

/** What a claim writes. Should nobody come back, the lease's end is also when the schedule looks at the row again. */
const TAKE_LEASE = `
  lease_owner = $2,
  lease_until = broker_now() + ${seconds('$3')},
  lease_epoch = c.lease_epoch + 1,
  attempts = c.attempts + 1,
  crashes = c.crashes + free.crashed::int,
  renew_at = broker_now() + ${seconds('$3')}`;

const STAYS_PAUSED = `(c.status = 'paused' and $3 <> 'reauthorization_required')`;

const NO_LIVE_LEASE = `(lease_until is null or lease_until <= broker_now())`;

/** Claims what is due. $1 provider, $2 owner, $3 lease seconds, $4 how many; what another has locked is skipped. */
const claimDueBy = (order: string): string => `
  with free as (
    select id, lease_owner is not null as crashed from connections
    where provider = $1 and renew_at <= broker_now() and sealed_grant is not null and ${NO_LIVE_LEASE}
    order by ${order} limit $4 for update skip locked)
  update connections c set ${TAKE_LEASE} from free where c.id = free.id
  returning ${columns('c')}, free.crashed`;

/** The row as it is found, locked: what it was before says whether its status has changed, and whoever changed it says so once. */
const FORMER = `former as (select id, status from connections where id = $1 for update)`;

/** Statements on `connections`: reading, and what the engine does under its leases. */
export const SQL = {
  /** Two statements, since `is not distinct from` would not use the index. */
  findCompany: {
    name: 'connection_of_company',
    text: `select ${columns('c')} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id is null`,
  },

  findLocation: {
    name: 'connection_of_location',
    text: `select ${columns('c')} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id = $3`,
  },

  findById: { name: 'connection_by_id', text: `select ${columns('c')} from connections c where c.id = $1` },

  /**
   * $1 provider, $2 company, $3 location, $4 status (each null: any), $5 after this id, $6 how many, $7 `due` or `overdue`:
   * secrets that a person made and that are to be replaced within $8 seconds, or should have been.
   */
  list: {
    text: `select ${columns('c')} from connections c
           where ($1::text is null or c.provider = $1) and ($2::text is null or c.company_id = $2)
             and ($3::text is null or c.location_id = $3) and ($4::text is null or c.status = $4)
             and ($5::uuid is null or c.id > $5)
             and ($7::text is null or (c.status <> 'revoked' and case $7
               when 'overdue' then c.rotate_by <= broker_now()
               else c.rotate_by > broker_now() and c.rotate_by <= broker_now() + ${seconds('$8')} end))
           order by c.id limit $6`,
  },

  /**
   * $1 id, $2 owner, $3 lease seconds, $4 the version that was too short, $5 force: also before a backoff is over. One
   * attempt is all that callers may cause: where it brought no new token, the calendar or a report opens the next.
   */
  claim: {
    name: 'connection_claim',
    text: `with free as (
             select id, lease_owner is not null as crashed from connections
             where id = $1 and token_version <= $4 and sealed_grant is not null and ${NO_LIVE_LEASE}
               and (renew_at <= broker_now()
                 or (status in ('active', 'suspect') and ((consecutive_failures = 0 and attempts = 0) or $5))
                 or (status = 'reauthorization_required' and renew_at is not null and $5))
             for update)
           update connections c set ${TAKE_LEASE} from free where c.id = free.id
           returning ${columns('c')}, free.crashed`,
  },

  /** The living first, soonest expiry first; then the expired. */
  claimDue: {
    name: 'connection_claim_due',
    text: claimDueBy('coalesce(expires_at <= broker_now(), false), expires_at'),
  },

  /** Any: while a provider is misconfigured no single connection may be the only probe. */
  claimAnyDue: { name: 'connection_claim_any_due', text: claimDueBy('random()') },

  /**
   * Keeps a token. $2 epoch, $3 and $4 token and grant version of the claim: a holder whose lease is gone may keep its
   * token only if nobody brought a newer one meanwhile; it then raises the epoch, so that a refusal which the present
   * holder earns with the spent grant kills nothing.
   */
  keepToken: {
    name: 'connection_keep_token',
    text: `with ${FORMER}, kept as (
             update connections c set
               status = case when c.status = 'paused' then 'paused' else 'active' end,
               status_reason = case when c.status = 'paused' then c.status_reason end,
               last_error = null, consecutive_failures = 0, refusals = 0, crashes = 0, unknown_outcome = null,
               attempts = case when c.token_fingerprint is distinct from $7 then 0 else c.attempts end,
               token_version = c.token_version + (c.token_fingerprint is distinct from $7)::int,
               sealed_token = $5, token_type = $6, token_fingerprint = $7,
               issued_at = broker_now() - ${seconds('$8')},
               expires_at = broker_now() - ${seconds('$8')} + ${seconds('$9')},
               renewed_lifetime_s = case when c.token_fingerprint is distinct from $7 then $9::double precision
                                         else greatest(c.renewed_lifetime_s, $9::double precision) end,
               renew_at = case when c.status <> 'paused' then broker_now() - ${seconds('$8')} + ${seconds('$10')} end,
               last_renewed_at = broker_now(),
               scopes = coalesce($11::text[], c.scopes),
               sealed_grant = coalesce($12, c.sealed_grant),
               refresh_token_kept = coalesce($13::boolean, c.refresh_token_kept),
               lease_owner = null, lease_until = null,
               lease_epoch = c.lease_epoch + (c.lease_epoch <> $2::bigint)::int,
               updated_at = broker_now()
             from former where c.id = former.id and c.status <> 'revoked'
               and (c.lease_epoch = $2::bigint or (c.token_version = $3 and c.grant_version = $4))
             returning ${columns('c')}, former.status as "formerStatus")
           ${tellReplicas('kept')}`,
  },

  /** Keeps what a failure changes, under the fence. A pause that came meanwhile stays, unless the grant is dead. */
  keepFailure: {
    name: 'connection_keep_failure',
    text: `with ${FORMER}, kept as (
             update connections c set
               status = case when ${STAYS_PAUSED} then 'paused' else $3 end,
               status_reason = case when ${STAYS_PAUSED} then c.status_reason else $4 end,
               last_error = $5, consecutive_failures = $6, refusals = $7, unknown_outcome = $8,
               renew_at = case when not ${STAYS_PAUSED} then broker_now() + ${seconds('$9')} end,
               lease_owner = null, lease_until = null, updated_at = broker_now()
             from former where c.id = former.id and c.lease_epoch = $2::bigint
             returning ${columns('c')}, former.status as "formerStatus")
           ${tellReplicas('kept')}`,
  },

  /** Gives a lease back under which nothing was sent. What a former holder left unknown stays so. */
  release: {
    name: 'connection_release',
    text: `with kept as (
             update connections c set
               lease_owner = null, lease_until = null, attempts = greatest(0, c.attempts - 1),
               renew_at = case when c.status <> 'paused' then broker_now() end,
               unknown_outcome = coalesce(c.unknown_outcome, $3),
               updated_at = broker_now()
             where c.id = $1 and c.lease_epoch = $2::bigint
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
  },

  /** The report of version $2 opens a renewal, unless another did so too short a time ago. Spacing doubles in a series. */
  acceptReport: {
    text: `update connections set
             reported_version = $2, reported_at = broker_now(), attempts = 0,
             -- A probe was put off for as long as this token was thought to be good.
             renew_at = case when unknown_outcome is null then renew_at else least(renew_at, broker_now()) end,
             report_spacing_s = case
               when reported_at is null or broker_now() > reported_at + ${seconds('report_spacing_s')} + interval '10 minutes'
               then 10 else least(greatest(report_spacing_s, 5) * 2, 600) end
           where id = $1 and token_version = $2 and status in ('active', 'suspect')
             and (reported_at is null or broker_now() >= reported_at + ${seconds('report_spacing_s')})
           returning id`,
  },

  /** A dead grant's token was reported: it is served no more, whatever the spacing. */
  markReported: {
    text: `update connections set reported_version = $2, updated_at = broker_now()
           where id = $1 and token_version = $2 and status = 'reauthorization_required'`,
  },
} as const;
