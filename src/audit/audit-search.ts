import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { invalid } from '../shared/problem.js';
import type { ExposedToken, FoundEvent } from './audit-answer.js';
import { AuditFlush } from './audit-flush.js';
import {
  FIRST_TOKEN,
  LAST_CONNECTION,
  readCursor,
  readTokenCursor,
  writeCursor,
  writeTokenCursor,
  type AuditQuery,
  type ExposureQuery,
} from './audit-query.js';
import { SEARCH_SQL } from './audit-search.sql.js';

type Times<Row, Name extends keyof Row> = Omit<Row, Name> & { readonly [Each in Name]: Date };
type EventRow = Times<FoundEvent, 'at' | 'last_at'> & { readonly us: string };
type ExposedRow = Omit<Times<ExposedToken, 'first_at' | 'last_at'>, 'valid_until'> & {
  readonly valid_until: Date | null;
};

const PAGE = 50;
/** Whom the trail names without a client. */
const OTHERS = new Set(['admin', 'broker', 'seller']);

/** Answers questions to the trail. */
@Injectable()
export class AuditSearch {
  constructor(
    private readonly database: Database,
    private readonly flush: AuditFlush,
  ) {}

  /** A page, newest first. Throws Problem `invalid_request` for a cursor that is none. */
  async find(query: AuditQuery): Promise<{ items: FoundEvent[]; next_cursor: string | null }> {
    const limit = query.limit ?? PAGE;
    const after = query.cursor === undefined ? undefined : readCursor(query.cursor);
    const whose = await this.#idsOf(query.actor);
    // What this replica still holds is to be found, too.
    await this.flush.flush();
    const rows = await this.database.run<EventRow>(SEARCH_SQL.find, [
      whose,
      query.action ?? null,
      query.outcome ?? null,
      query.connection_id ?? null,
      query.token_version ?? null,
      timeOf(query.from),
      timeOf(query.to),
      after?.us ?? null,
      after?.id ?? null,
      limit + 1,
    ]);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      items: page.map(({ us: _, at, last_at: lastAt, ...rest }) => ({
        ...rest,
        at: at.toISOString(),
        last_at: lastAt.toISOString(),
      })),
      next_cursor: rows.length > limit && last ? writeCursor(last) : null,
    };
  }

  /** A page of the tokens that somebody got, and until when each is good. Throws Problem `invalid_request` as `find` does, and for nobody. */
  async exposure(query: ExposureQuery): Promise<{ items: ExposedToken[]; next_cursor: string | null }> {
    const limit = query.limit ?? PAGE;
    const after = query.cursor === undefined ? FIRST_TOKEN : readTokenCursor(query.cursor);
    const whose = await this.#idsOf(query.actor);
    // A name that is mistyped must not look like a caller that got nothing.
    if (whose?.length === 1 && !OTHERS.has(query.actor)) throw invalid('actor', 'is no client, nor ever was');
    await this.flush.flush();
    const rows = await this.database.run<ExposedRow>(SEARCH_SQL.exposure, [
      whose,
      timeOf(query.from),
      timeOf(query.to),
      after.connection_id ?? LAST_CONNECTION,
      after.token_version,
      after.token_fingerprint,
      limit + 1,
    ]);
    const page = rows.slice(0, limit);
    const end = page.at(-1);
    return {
      items: page.map(({ first_at: first, last_at: last, valid_until: until, ...rest }) => ({
        ...rest,
        first_at: first.toISOString(),
        last_at: last.toISOString(),
        valid_until: until?.toISOString() ?? null,
        ...(until === null ? { never_expires: true } : {}),
      })),
      next_cursor: rows.length > limit && end ? writeTokenCursor(end) : null,
    };
  }

  /** Of a name, the ids of all clients that ever had it; null: anybody's. */
  async #idsOf(actor: string | undefined): Promise<string[] | null> {
    if (actor === undefined) return null;
    const named = await this.database.run<{ id: string }>(SEARCH_SQL.clientsNamed, [actor]);
    return [actor, ...named.map(({ id }) => id)];
  }
}

function timeOf(text: string | undefined): Date | null {
  return text === undefined ? null : new Date(text);
}
