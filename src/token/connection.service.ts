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

/** What a revocation here means at the provider. */
export interface Revocation {
  /** `unsupported`: the provider has no way to revoke, and honours what was handed out until it expires. */
  readonly upstream: 'unsupported';
  /** Until when a token that somebody has already got is still good; null: not any more, or there was none. */
  readonly tokenValidUntil: Date | null;
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
      afterId: query.cursor === undefined ? null : readCursor(query.cursor),
      limit: limit + 1,
    });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return { items, nextCursor: rows.length > limit && last ? writeCursor(last.id) : null };
  }

  /** Revokes it here and erases its secrets; again is no error. */
  async revoke(id: string): Promise<Revocation> {
    const revoked = (await this.store.revoke(id, 'revoked_by_operator')) ?? (await this.find(id));
    const { expiresAt, now } = revoked;
    return { upstream: 'unsupported', tokenValidUntil: expiresAt && expiresAt > now ? expiresAt : null };
  }

  /** Tries to renew now, whatever the calendar or a backoff says; `lastError` of what comes back tells whether it worked. */
  async renew(id: string): Promise<Connection> {
    const connection = await this.find(id);
    if (connection.status === 'revoked')
      throw new Problem('connection_revoked', 'The connection was revoked.');
    const renewed = await this.renewer.renew(connection, connection.tokenVersion, true);
    if (renewed) return renewed;
    throw new Problem('provider_unavailable', 'The renewal is still running; look again.', {
      retry_after: 1,
    });
  }
}
