import { isIP } from 'node:net';
import type { AuditEvent } from './audit-event.js';

/** An event as it is written: a column of the trail each, with times in milliseconds. */
export interface AuditColumns {
  readonly id: string;
  /** Of the first of those that are folded into one. */
  readonly at: number;
  readonly last_at: number;
  readonly count: number;
  readonly actor: string;
  readonly action: AuditEvent['action'];
  readonly outcome: AuditEvent['outcome'];
  readonly resource: string;
  readonly connection_id: string | null;
  readonly token_version: number | null;
  readonly token_fingerprint: string | null;
  readonly token_expires_at: number | null;
  readonly source_ip: string | null;
  readonly key_id: string | null;
  readonly request_id: string | null;
  readonly reason: string | null;
}

/** Not known here: as JSON it is null, for which the database takes the time by its own clock. */
export const NOW_THERE = NaN;

/** Of an event that happened once. @param at milliseconds */
export function columnsOf(event: AuditEvent, id: string, at: number): AuditColumns {
  const { actor } = event;
  return {
    id,
    at,
    last_at: at,
    count: 1,
    actor: actor.id,
    action: event.action,
    outcome: event.outcome,
    resource: event.resource,
    connection_id: event.connectionId ?? null,
    token_version: event.tokenVersion ?? null,
    token_fingerprint: event.tokenFingerprint ?? null,
    token_expires_at: event.tokenExpiresAt?.getTime() ?? null,
    source_ip: addressOf(actor.sourceIp),
    key_id: actor.keyId,
    request_id: actor.requestId,
    reason: event.reason ?? null,
  };
}

/** A proxy that is trusted may pass on what is no address; an event is not to be lost by that. */
function addressOf(text: string | null): string | null {
  const address = text?.replace(/%.*$/, '') ?? '';
  return isIP(address) ? address : null;
}
