import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';
import type { ConnectionEventType, OutboxEvent, ToldConnection } from './outbox-event.js';
import { OUTBOX_SQL } from './outbox.sql.js';

/** What happened, written in the transaction of the change itself: neither is there without the other. */
@Injectable()
export class Outbox {
  constructor(private readonly database: Database) {}

  /** Whoever writes holds the row that it is about, so that the events of one subject stand in order. */
  async write(run: Run, ...events: readonly OutboxEvent[]): Promise<void> {
    if (events.length === 0) return;
    await run(OUTBOX_SQL.write, [
      events.map(({ id }) => id),
      events.map(({ type }) => type),
      events.map(({ subject }) => subject),
      events.map(({ content }) => JSON.stringify(content)),
    ]);
  }

  /** Forgets what happened longer ago, whoever was told of it or not; how much that was. */
  async forget(afterS: number): Promise<number> {
    const [row] = await this.database.run<{ gone: number }>(OUTBOX_SQL.forget, [afterS]);
    return row?.gone ?? 0;
  }
}

/** What happened to a connection, which is now as given. */
export function eventOf(type: ConnectionEventType, connection: ToldConnection): OutboxEvent {
  return { id: randomUUID(), type, subject: connection.id, content: contentOf(connection) };
}

/** What happened to a provider, and why; `code` is null where it is over. */
export function eventOfProvider(
  type: 'provider.misconfigured' | 'provider.recovered',
  provider: string,
  code: string | null,
): OutboxEvent {
  return { id: randomUUID(), type, subject: provider, content: { provider, reason: code } };
}

/** The same as `content` of the statements. */
function contentOf(connection: ToldConnection): OutboxEvent['content'] {
  const { locationId, expiresAt, rotateBy } = connection;
  return {
    connection_id: connection.id,
    provider: connection.provider,
    company_id: connection.companyId,
    location_id: locationId,
    level: locationId === null ? 'company' : 'location',
    status: connection.status,
    reason: connection.statusReason,
    token_version: connection.tokenVersion,
    expires_at: expiresAt?.toISOString() ?? null,
    rotate_by: rotateBy?.toISOString() ?? null,
  };
}
