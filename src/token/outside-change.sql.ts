import { columns, probeAt, seconds, tellReplicas } from './connection-row.sql.js';

/**
 * What a grant from outside writes: both fences are raised. $2 grant, $3 fingerprint of the credential (the same one
 * kept again is not a rotated one), $4 seconds until it is due for another (null: no person made it), $5 scopes (null: those that are
 * there), $6 paused (null: an operator's pause stays), $7 its type, $8 shared externally.
 */
const ADOPT_GRANT = `
  status = case when coalesce($6::boolean, c.status = 'paused') then 'paused' else 'active' end,
  status_reason = case when coalesce($6::boolean, c.status = 'paused') then 'paused_by_operator' end,
  last_error = null, consecutive_failures = 0, refusals = 0,
  crashes = 0, attempts = 0, unknown_outcome = null, unanswered_since = null, refresh_token_kept = null, died_at = null,
  grant_version = c.grant_version + 1, lease_epoch = c.lease_epoch + 1, lease_owner = null, lease_until = null,
  sealed_grant = $2, credential_fingerprint = $3,
  rotate_by = case when $3::text is null or $4::double precision is null then null
                   when c.credential_fingerprint is distinct from $3
                     then broker_now() + make_interval(secs => $4::double precision)
                   else c.rotate_by end,
  scopes = coalesce($5::text[], c.scopes), upstream_revocation = null, credential_type = $7, shared_externally = $8,
  updated_at = broker_now()`;

/** The token in hand was refused, and nothing renews it. */
const IS_REPORTED = `(c.sealed_grant is null and c.reported_version = c.token_version)`;

const HAS_LAPSED = `c.provider = $1 and c.sealed_grant is null and c.expires_at is not null
  and c.expires_at <= broker_now() and c.status in ('active', 'suspect')`;

/** Null where it is to stay paused: a paused connection is claimed by nobody. */
const unlessPaused = (time: string): string =>
  `case when coalesce($6::boolean, c.status = 'paused') then null else ${time} end`;

/** Statements on `connections` by which a grant changes from outside of the engine. */
export const OUTSIDE_SQL = {
  /** Makes sure that the row is there and locks it. $1 a new id, $2 to $4 the subject. */
  ensure: {
    text: `insert into connections (id, provider, company_id, location_id, status) values ($1, $2, $3, $4, 'active')
           on conflict on constraint connections_subject do nothing returning id`,
  },

  lockSubject: {
    text: `select ${columns('c')} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id is not distinct from $3 for update`,
  },

  /**
   * Takes a grant from outside, with the token that came with it. $9 to $11 token, $12 to $14 its age, lifetime and renewal
   * in seconds, $15 when it expires where a person said so, $16 the lifetime where a renewal would bring the same.
   */
  adoptToken: {
    text: `with kept as (
             update connections c set ${ADOPT_GRANT},
               token_version = c.token_version + (c.token_fingerprint is distinct from $11)::int,
               sealed_token = $9, token_type = $10, token_fingerprint = $11,
               issued_at = broker_now() - ${seconds('$12')},
               expires_at = coalesce($15::timestamptz, broker_now() - ${seconds('$12')} + ${seconds('$13')}),
               renew_at = ${unlessPaused(`broker_now() - ${seconds('$12')} + ${seconds('$14')}`)},
               renewed_lifetime_s = coalesce($16::double precision, c.renewed_lifetime_s),
               last_renewed_at = case when $16::double precision is null then c.last_renewed_at else broker_now() end,
               reported_version = null, reported_at = null, report_spacing_s = 0
             where c.id = $1
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /** Takes a grant from outside without a token: the schedule fetches one at once. */
  adoptGrant: {
    text: `with kept as (
             update connections c set ${ADOPT_GRANT}, renew_at = ${unlessPaused('broker_now()')}
             where c.id = $1
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /** What the provider was told. $2 of it, $3 whether the token in other hands has ended with it. */
  noteRevocation: {
    text: `update connections c set upstream_revocation = $2, updated_at = broker_now(),
             expires_at = case when $3 then least(c.expires_at, broker_now()) else c.expires_at end
           where c.id = $1 and c.status = 'revoked' returning ${columns('c')}`,
  },

  /** Nothing is renewed any more. A renewal that is still out keeps what it brings: it may have spent a refresh token. */
  pause: {
    text: `with kept as (
             update connections c set status = 'paused', status_reason = 'paused_by_operator', renew_at = null,
               updated_at = broker_now()
             where c.id = $1 and c.status in ('active', 'suspect')
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /**
   * Looked at at once: who knows what happened to the grant meanwhile. What it was suspected of before, it still is, and a
   * refresh token that may be spent is put off as before.
   */
  resume: {
    text: `with kept as (
             update connections c set
               status = case when ${IS_REPORTED} or c.refusals > 0 then 'suspect' else 'active' end,
               status_reason = case when ${IS_REPORTED} then 'reported' when c.refusals > 0 then c.last_error end,
               renew_at = case when c.sealed_grant is null then null else ${probeAt('c.unknown_outcome')} end, updated_at = broker_now()
             where c.id = $1 and c.status = 'paused'
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /**
   * Nothing renews it and it was refused before its end: an alarm, and no reason to serve it to nobody. Once a version, $2.
   */
  markSuspect: {
    text: `with kept as (
             update connections c set
               status = case when c.status = 'paused' then 'paused' else 'suspect' end,
               status_reason = case when c.status = 'paused' then c.status_reason else 'reported' end,
               reported_version = $2, reported_at = broker_now(), updated_at = broker_now()
             where c.id = $1 and c.token_version = $2 and c.reported_version is distinct from $2
               and c.status in ('active', 'suspect', 'paused')
               and (c.expires_at is null or c.expires_at > broker_now())
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /** Whether anything has come to its end that nothing renews: asked at every tick. $1 provider. */
  isLapsing: {
    name: 'connection_is_lapsing',
    text: `select 1 from connections c where ${HAS_LAPSED} limit 1`,
  },

  lapse: {
    name: 'connection_lapse',
    text: `with kept as (
             update connections c set status = 'reauthorization_required', status_reason = 'expired',
               last_error = 'expired', updated_at = broker_now()
             where ${HAS_LAPSED}
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /**
   * Is it kept already: $5 anywhere else at this provider; else at another level of the same company, $4 null asks for its
   * locations, else for itself.
   */
  credentialElsewhere: {
    text: `select 1 from connections
           where provider = $1 and credential_fingerprint = $3 and status <> 'revoked'
             and case when $5::boolean then (company_id, location_id) is distinct from ($2, $4::text)
                      else company_id = $2 and (location_id is null) <> ($4::text is null) end
           limit 1`,
  },

  /** What was declared dead since $2 is looked at once more, by the schedule. $1 provider. */
  revive: {
    text: `with revived as (
             update connections set renew_at = broker_now(), attempts = 0, updated_at = broker_now()
             where provider = $1 and status = 'reauthorization_required' and sealed_grant is not null
               and coalesce(died_at, updated_at) >= $2
             returning 1)
           select count(*)::integer as revived from revived`,
  },

  /**
   * Erases what is sealed in grants that a seller gave and that have been dead for $1 seconds. A credential of a person's is
   * still tried, and stays.
   */
  forgetDead: {
    text: `with kept as (
             update connections c set sealed_grant = null, sealed_token = null, renew_at = null, updated_at = broker_now()
             where c.died_at is not null and c.died_at < broker_now() - ${seconds('$1')} and c.renew_at is null
               and c.status = 'reauthorization_required' and c.sealed_grant is not null
             returning ${columns('c')})
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },

  /** Locked, so that what was sealed is known when it is erased. */
  lockById: { text: `select ${columns('c')} from connections c where c.id = $1 for update` },

  /**
   * Revokes, and erases what was sealed in the same statement. The version and the expiry stay, for the trail. What time would
   * have brought is over: should the same token come again, it is reminded of anew. $2 why, $3 what the provider was told of it
   * so far.
   */
  revoke: {
    text: `with kept as (
             update connections c set
               status = 'revoked', status_reason = $2, upstream_revocation = $3, sealed_grant = null, sealed_token = null,
               credential_fingerprint = null, renew_at = null, unknown_outcome = null, unanswered_since = null,
               grant_version = c.grant_version + 1, lease_epoch = c.lease_epoch + 1, lease_owner = null, lease_until = null,
               updated_at = broker_now()
             where c.id = $1 and c.status <> 'revoked'
             returning ${columns('c')}),
           over as (delete from outbox_reminders r using kept where r.connection_id = kept.id)
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },
} as const;
