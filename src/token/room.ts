import type { SharedProviderSettings } from '../config/provider-settings.js';

/** Why nobody may ask a provider now. The first three last until a person does something, or a probe shows otherwise. */
export const CLOSED_BECAUSE = [
  'paused',
  'mass_refusals',
  'misconfigured',
  'rate_limited',
  'unreachable',
] as const;

export type ClosedBecause = (typeof CLOSED_BECAUSE)[number];

/** What is known of a provider where room for a call was asked for. */
export interface Room {
  /** When it was asked for, in seconds on the database's clock. */
  readonly at: number;
  readonly closed: ClosedBecause | null;
  /** Calls that there was room for. */
  readonly calls: number;
  /** Where that is none: seconds after which it is worth asking again. */
  readonly waitS: number;
  /** One call at a time, to see whether it works again. */
  readonly probed: boolean;
  /** It is held to fewer calls than its settings allow, or has failed: that it works is news. */
  readonly pressed: boolean;
  readonly misconfigured: boolean;
  /** The dialect in which it last renewed; null while it never did. */
  readonly renewalDialect: string | null;
}

/** A row with ROOM_COLUMNS. */
export interface RoomRow {
  readonly roomAt: number;
  readonly roomClosed: ClosedBecause | null;
  readonly roomWaitS: number;
  /** Null where no row was locked. */
  readonly roomCalls: number | null;
  readonly roomProbed: boolean;
  readonly roomPressed: boolean;
  readonly roomMisconfigured: boolean;
  readonly roomDialect: string | null;
  /** The provider has no row yet. */
  readonly rowMissing: boolean;
  /** Calls that were begun. */
  readonly taken: number | null;
}

/** Undefined where none was asked for, since there was nothing to take it for. */
export function readRoom(row: RoomRow | undefined): Room | undefined {
  if (!row || row.roomCalls === null) return undefined;
  return {
    at: row.roomAt,
    closed: row.roomClosed,
    calls: row.roomCalls,
    waitS: row.roomWaitS,
    probed: row.roomProbed,
    pressed: row.roomPressed,
    misconfigured: row.roomMisconfigured,
    renewalDialect: row.roomDialect,
  };
}

/** Seconds that a lease lasts: twice the time that one call may take. */
export function leaseSeconds({ timeoutMs }: SharedProviderSettings): number {
  return (2 * timeoutMs) / 1_000;
}
