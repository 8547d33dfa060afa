import type { AuditEvent } from '../audit/audit-event.js';
import { resourceOf } from '../http/caller.js';
import type { Actor } from '../shared/actor.js';
import type { Connection } from './connection.js';

/** What the trail says of a change of a connection; `reason` is what was done. */
export function changeOf(connection: Connection, actor: Actor, reason: string): AuditEvent {
  return {
    actor,
    action: 'connection:write',
    outcome: 'allowed',
    resource: resourceOf(connection),
    connectionId: connection.id,
    tokenVersion: connection.tokenVersion,
    tokenFingerprint: connection.tokenFingerprint,
    reason,
  };
}

/** What the trail says of a change of a provider. */
export function changeOfProvider(provider: string, actor: Actor, reason: string): AuditEvent {
  return { actor, action: 'provider:admin', outcome: 'allowed', resource: allOf(provider), reason };
}

/** What is done to a provider is about all of its connections. */
export function allOf(provider: string): string {
  return `${provider}/**`;
}
