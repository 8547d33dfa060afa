import { seconds, tellReplicas } from './connection-row.sql.js';
import { FORMER, KEPT_COLUMNS, tellRecovery, TRACE_RENEWAL } from './kept-row.js';

/** What a claim and its renewal give: under which name the statements know it, and as what. */
const GIVEN = [
  ['id', 'uuid'],
  ['lease_epoch', 'bigint'],
  ['token_version', 'integer'],
  ['grant_version', 'integer'],
  ['sealed_token', 'bytea'],
  ['token_type', 'text'],
  ['fingerprint', 'text'],
  ['age_s', 'double precision'],
  ['lifetime_s', 'double precision'],
  ['renew_after_s', 'double precision'],
  ['scopes', 'text[]'],
  ['sealed_grant', 'bytea'],
  ['refresh_token_kept', 'boolean'],
] as const;

const ONE = `given as materialized (
  select ${GIVEN.map(([name, type], index) => `$${index + 1}::${type} as ${name}`).join(', ')})`;

/** As JSON, since there are no arrays of rows whose own arrays differ in length; and of arrays the planner makes a new plan each time. */
const MANY = `given as materialized (
  select * from json_to_recordset($1::json) as t (${GIVEN.map(([name, type]) => `${name} ${type}`).join(', ')}))`;

/** Never waits for a row that somebody else has locked: so it can neither hold up the others, nor deadlock with another batch. */
const FORMER_UNLOCKED = `former as (
  select id, status, refusals, token_version, expires_at, rotate_by from connections
  -- The array keeps the planner from joining the whole table.
  where id = any(array(select id from given)) for update skip locked)`;

const EXPIRES_AT = `broker_now() - ${seconds('given.age_s')} + ${seconds('given.lifetime_s')}`;

/** The values of many in the order of GIVEN, as one. */
export function manyOf(rows: readonly (readonly unknown[])[]): string {
  return JSON.stringify(
    rows.map((values) => Object.fromEntries(GIVEN.map(([name], index) => [name, inJson(values[index])]))),
  );
}

function inJson(value: unknown): unknown {
  return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : value;
}

/**
 * Under the fence: a holder whose lease is gone may keep its token only if nobody brought a newer one meanwhile; it then
 * raises the epoch, so that a refusal which the present holder earns with the spent grant kills nothing.
 */
const KEEP = `kept as (
  update connections c set
    status = case when c.status = 'paused' then 'paused' else 'active' end,
    status_reason = case when c.status = 'paused' then c.status_reason end,
    last_error = null, consecutive_failures = 0, refusals = 0, crashes = 0, unknown_outcome = null,
    unanswered_since = null,
    died_at = null,
    attempts = case when c.token_fingerprint is distinct from given.fingerprint then 0 else c.attempts end,
    token_version = c.token_version + (c.token_fingerprint is distinct from given.fingerprint)::int,
    sealed_token = given.sealed_token, token_type = given.token_type, token_fingerprint = given.fingerprint,
    issued_at = broker_now() - ${seconds('given.age_s')},
    expires_at = ${EXPIRES_AT},
    renewed_lifetime_s = case when c.token_fingerprint is distinct from given.fingerprint then given.lifetime_s
                              else greatest(c.renewed_lifetime_s, given.lifetime_s) end,
    renew_at = case when c.status <> 'paused'
                    then broker_now() - ${seconds('given.age_s')} + ${seconds('given.renew_after_s')} end,
    last_renewed_at = broker_now(),
    scopes = coalesce(given.scopes, c.scopes),
    sealed_grant = coalesce(given.sealed_grant, c.sealed_grant),
    refresh_token_kept = given.refresh_token_kept,
    lease_owner = null, lease_until = null,
    lease_epoch = c.lease_epoch + (c.lease_epoch <> given.lease_epoch)::int,
    updated_at = broker_now()
  from former join given on given.id = former.id where c.id = former.id and c.status <> 'revoked'
    and (c.lease_epoch = given.lease_epoch
      or (c.token_version = given.token_version and c.grant_version = given.grant_version))
  returning ${KEPT_COLUMNS}),
  ${TRACE_RENEWAL},
  ${tellRecovery(EXPIRES_AT)}
  ${tellReplicas('kept')}`;

/** Keeps one token. Its values are $1 to $13, in the order of GIVEN. */
export const KEEP_TOKEN = {
  name: 'connection_keep_token',
  text: `with ${ONE}, ${FORMER}, ${KEEP}`,
  tells: 'connections',
} as const;

/**
 * Keeps tokens of different connections, each under its own fence. $1 are their values, as `manyOf` writes them. A row that
 * does not come back was refused, or is locked: that is for KEEP_TOKEN to tell.
 */
export const KEEP_TOKENS = {
  name: 'connection_keep_tokens',
  text: `with ${MANY}, ${FORMER_UNLOCKED}, ${KEEP}`,
  tells: 'connections',
} as const;
