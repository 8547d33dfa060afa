import { Injectable } from '@nestjs/common';
import { AuditBuffer } from '../audit/audit-buffer.js';
import { markFound } from '../audit/audit-event.js';
import { resourceOf, type Action, type Caller } from '../http/caller.js';
import type { Actor } from '../shared/actor.js';
import { Problem } from '../shared/problem.js';
import type { Connection } from './connection.js';
import { readCursor, writeCursor } from '../http/cursor.js';
import { DEFAULT_LIMIT } from '../http/list-query.js';
import type { ConnectionQuery } from './connection-query.js';
import { ConnectionStore } from './connection.store.js';
import { TokenRenewer } from './token-renewer.js';

export interface Page {
  readonly items: readonly Connection[];
  readonly nextCursor: string | null;
}

/** What operators do with connections. */
@Injectable()
export class ConnectionService {
  constructor(
    private readonly store: ConnectionStore,
    private readonly renewer: TokenRenewer,
    private readonly audit: AuditBuffer,
  ) {}

  /** Throws Problem `connection_not_found`. */
  async find(id: string): Promise<Connection> {
    const connection = await this.store.findById(id);
    if (connection) return connection;
    throw new Problem('connection_not_found', 'There is no connection with this id.');
  }

  /** As `find`, for a caller who may do this to it. Throws Problem `forbidden`. */
  async permitted(id: string, action: Action, caller: Caller): Promise<Connection> {
    const connection = await this.find(id);
    const resource = resourceOf(connection);
    markFound(caller, { resource, connectionId: id });
    if (caller.permits(action, resource)) return connection;
    const denied = { actor: caller, action, outcome: 'denied', resource, connectionId: id } as const;
    this.audit.note({ ...denied, reason: 'forbidden' });
    throw new Problem('forbidden', `This caller lacks the permission ${action} on this connection.`);
  }

  /** A page in order of id, of what the caller may read. */
  async list(query: ConnectionQuery, { permissions }: Caller): Promise<Page> {
    const limit = query.limit ?? DEFAULT_LIMIT;
    const rows = await this.store.list({
      provider: query.provider ?? null,
      companyId: query.company_id ?? null,
      locationId: query.location_id ?? null,
      status: query.status ?? null,
      rotation: query.rotation ?? null,
      afterId: query.cursor === undefined ? null : readCursor(query.cursor),
      limit: limit + 1,
      permissions,
    });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return { items, nextCursor: rows.length > limit && last ? writeCursor(last.id) : null };
  }

  /** Served while its token lives, and not renewed; again is no error. Throws a Problem where there is nothing to pause. */
  async pause(id: string, actor: Actor): Promise<Connection> {
    const paused = (await this.store.pause(id, actor)) ?? (await this.find(id));
    return living(paused);
  }

  /**
   * Renewed again, and looked at at once; where it was not paused, nothing happens. Throws a Problem where there is nothing
   * to renew.
   */
  async resume(id: string, actor: Actor): Promise<Connection> {
    return living((await this.store.resume(id, actor)) ?? (await this.find(id)));
  }

  /** Tries to renew now, whatever the calendar or a backoff says; `lastError` of what comes back tells whether it worked. */
  async renew(id: string): Promise<Connection> {
    const connection = await this.find(id);
    if (connection.status === 'revoked') throw revoked(connection);
    if (connection.sealedGrant === null) {
      throw new Problem('not_renewable', 'Nothing renews this token: keep a new one in its place.', {
        connection_id: id,
      });
    }
    if (connection.status === 'paused') {
      throw new Problem('connection_paused', 'The connection is paused: resume it first.', {
        connection_id: id,
      });
    }
    const renewed = await this.renewer.renew(connection, connection.tokenVersion, true);
    if (renewed) return renewed;
    throw new Problem('provider_unavailable', 'The renewal is still running; look again.', {
      retry_after: 1,
    });
  }
}

function living(connection: Connection): Connection {
  const { id, status } = connection;
  if (status === 'revoked') throw revoked(connection);
  if (status !== 'reauthorization_required') return connection;
  throw new Problem('reauthorization_required', 'The grant is dead: the seller has to connect again.', {
    connection_id: id,
  });
}

function revoked({ id }: Connection): Problem {
  return new Problem('connection_revoked', 'The connection was revoked.', { connection_id: id });
}
