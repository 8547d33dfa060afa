import type { EventType } from '../shared/event-types.js';

export type ConnectionEventType = Extract<EventType, `connection.${string}`>;

/** Something that happened. Its content is ids, codes and times, and never a secret or a text from outside. */
export interface OutboxEvent {
  readonly id: string;
  readonly type: EventType;
  /** A connection's id or a provider's name: of one subject, what happened is told in order. */
  readonly subject: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/** What an event says of a connection. */
export interface ToldConnection {
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly locationId: string | null;
  readonly status: string;
  readonly statusReason: string | null;
  readonly tokenVersion: number;
  readonly expiresAt: Date | null;
  readonly rotateBy: Date | null;
}
