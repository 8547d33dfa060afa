import type { Actor } from '../shared/actor.js';
import { ACTIONS } from '../shared/permission.js';

export const OUTCOMES = ['allowed', 'denied', 'failed'] as const;
/** `*` is of a request that no single action is required for: it has no route. */
export const TRACED_ACTIONS = [...ACTIONS, '*'] as const;

/** Something that was done, or refused, and who it was. It names a token by version and fingerprint, and never holds one. */
export interface AuditEvent {
  readonly actor: Actor;
  readonly action: (typeof TRACED_ACTIONS)[number];
  readonly outcome: (typeof OUTCOMES)[number];
  /** As permissions name it. */
  readonly resource: string;
  readonly connectionId?: string | null;
  readonly tokenVersion?: number | null;
  readonly tokenFingerprint?: string | null;
  /** Until when the token that was handed out lives; null where it has no end, or none was. */
  readonly tokenExpiresAt?: Date | null;
  /** What exactly was done, or the code of what was refused; null where a token was handed out. Never text from outside. */
  readonly reason?: string | null;
}

/** An event that the trail has got. */
export interface WrittenEvent extends AuditEvent {
  readonly id: string;
  readonly at: Date;
}

/** What a request turned out to be about, where its path did not say. */
export interface Found {
  readonly resource: string;
  readonly connectionId?: string;
}

const TRACED = Symbol('traced');
const FOUND = Symbol('found');

/** An actor is one request's; what is noted of that lies in it, since a set of all of them costs more than a read. */
type Marked = Actor & { [TRACED]?: boolean; [FOUND]?: Found };

/** Something that this actor did stands in the trail. */
export function markTraced(actor: Actor): void {
  (actor as Marked)[TRACED] = true;
}

export function isTraced(actor: Actor): boolean {
  return (actor as Marked)[TRACED] ?? false;
}

/** Its request is about this, which exists. */
export function markFound(actor: Actor, found: Found): void {
  (actor as Marked)[FOUND] = found;
}

export function foundBy(actor: Actor): Found | undefined {
  return (actor as Marked)[FOUND];
}

/** What a change of a connection says of itself. */
export interface TracedConnection {
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly locationId: string | null;
  readonly tokenVersion: number;
  readonly tokenFingerprint: string | null;
}
