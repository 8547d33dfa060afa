import { Injectable } from '@nestjs/common';
import { Problem } from '../shared/problem.js';
import type { Connection } from './connection.js';
import { readCursor, writeCursor, type ConnectionQuery } from './connection-query.js';
import { ConnectionStore } from './connection.store.js';
import { TokenRenewer } from './token-renewer.js';

const PAGE = 50;

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
  ) {}

  /** Throws Problem `connection_not_found`. */
  async find(id: string): Promise<Connection> {
    const connection = await this.store.findById(id);
    if (connection) return connection;
    throw new Problem('connection_not_found', 'There is no connection with this id.');
  }

  /** A page in order of id. */
  async list(query: ConnectionQuery): Promise<Page> {
    const limit = query.limit ?? PAGE;
    const rows = await this.store.list({
      provider: query.provider ?? null,
      companyId: query.company_id ?? null,
      locationId: query.location_id ?? null,
      status: query.status ?? null,
      rotation: query.rotation ?? null,
      afterId: query.cursor === undefined ? null : readCursor(query.cursor),
      limit: limit + 1,
    });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return { items, nextCursor: rows.length > limit && last ? writeCursor(last.id) : null };
  }

  /** Served while its token lives, and not renewed; again is no error. Throws a Problem where there is nothing to pause. */
  async pause(id: string): Promise<Connection> {
    const paused = (await this.store.pause(id)) ?? (await this.find(id));
    return living(paused);
  }

  /**
   * Renewed again, and looked at at once; where it was not paused, nothing happens. Throws a Problem where there is nothing
   * to renew.
   */
  async resume(id: string): Promise<Connection> {
    return living((await this.store.resume(id)) ?? (await this.find(id)));
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
