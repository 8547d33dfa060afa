import { LATEST_BEFORE_EXPIRY_S } from './calendar.js';

/** The columns of a Connection, as they are called in the code. */
export const columns = (table: string): string => `
  ${table}.id, ${table}.provider, ${table}.company_id as "companyId", ${table}.location_id as "locationId",
  ${table}.status, ${table}.status_reason as "statusReason", ${table}.scopes,
  ${table}.grant_version as "grantVersion", ${table}.sealed_grant as "sealedGrant",
  ${table}.token_version as "tokenVersion", ${table}.sealed_token as "sealedToken",
  ${table}.token_type as "tokenType", ${table}.token_fingerprint as "tokenFingerprint",
  ${table}.issued_at as "issuedAt", ${table}.expires_at as "expiresAt",
  ${table}.renewed_lifetime_s as "renewedLifetimeS", ${table}.renew_at as "renewAt",
  ${table}.last_renewed_at as "lastRenewedAt", ${table}.last_error as "lastError",
  ${table}.consecutive_failures as "consecutiveFailures", ${table}.refusals,
  ${table}.lease_owner as "leaseOwner", ${table}.lease_until as "leaseUntil", ${table}.lease_epoch::text as "leaseEpoch",
  ${table}.attempts, ${table}.unknown_outcome as "unknownOutcome", ${table}.crashes,
  ${table}.rotate_by as "rotateBy", ${table}.refresh_token_kept as "refreshTokenKept", ${table}.reported_version as "reportedVersion",
  ${table}.credential_type as "credentialType", ${table}.shared_externally as "sharedExternally",
  ${table}.upstream_revocation as "upstreamRevocation",
  ${table}.reported_at as "reportedAt", ${table}.created_at as "createdAt", ${table}.updated_at as "updatedAt",
  broker_now() as "now"`;

/** Tells the other replicas, when the statement commits; `tells` beside its text tells this one. */
export const tellReplicas = (changed: string): string =>
  `select ${changed}.*, pg_notify('connections', ${changed}.id::text) from ${changed}`;

export const seconds = (parameter: string): string => `make_interval(secs => ${parameter}::double precision)`;

/** When it is asked for next: at once, but where this is `unknown` as late as the token in hand allows, unless that was reported. */
export const probeAt = (unknown: string): string => `case
    when ${unknown} is null or c.reported_version = c.token_version then broker_now()
    else greatest(broker_now(), c.expires_at - ${seconds(String(LATEST_BEFORE_EXPIRY_S))}) end`;
