import { Inject, Injectable } from '@nestjs/common';
import type { Pool, PoolClient, QueryResultRow } from 'pg';
import { DataSource } from 'typeorm';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';

/** SQL with a name is prepared once per connection; use it for what runs often. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

type Values = readonly unknown[];
/** Runs a statement inside of a transaction. */
export type Run = <Row extends QueryResultRow>(statement: Statement, values?: Values) => Promise<Row[]>;

/** Seconds after which a caller may try again when the database is away. */
const RETRY_AFTER_S = 5;

/**
 * SQLSTATE classes and codes that mean: the database is away, full, in a conflict, too slow or does not let us in, and
 * nothing is wrong with the statement, which may be run again.
 */
const UNAVAILABLE = /^(08|28|40|42501|53|55000|55P03|57P|57014|25006|58|XX)/;

/**
 * The way to PostgreSQL: written SQL over the pool of the TypeORM data source, without its row mapping, which costs
 * more than the statement. Throws Problem `store_unavailable` where the database cannot be reached.
 */
@Injectable()
export class Database {
  readonly #pool: Pool;
  readonly #onCut: (() => void)[] = [];
  readonly #onReturn: (() => void)[] = [];
  #isAway = false;
  #wasCut = false;
  /** Monotonic milliseconds at which it was first reached again. */
  #returnedAt = -Infinity;

  constructor(
    @Inject(DataSource) dataSource: DataSource,
    private readonly clock: Clock,
  ) {
    this.#pool = (dataSource.driver as unknown as { master: Pool }).master;
  }

  /** Seconds since this process could not reach it; 0 while it cannot, Infinity where it always could. Being slow does not count. */
  secondsSinceAway(): number {
    return this.#wasCut ? 0 : (this.clock.monotonic() - this.#returnedAt) / 1_000;
  }

  /** Calls back when a connection was cut, and not merely too slow to get: another server may answer the next. */
  onCut(callback: () => void): void {
    this.#onCut.push(callback);
  }

  /** Calls back each time that it is reached again after that. */
  onReturn(callback: () => void): void {
    this.#onReturn.push(callback);
  }

  /** Runs one statement and returns its rows. */
  async run<Row extends QueryResultRow>(statement: Statement, values: Values = []): Promise<Row[]> {
    try {
      const { rows } = await this.#pool.query<Row>({ ...statement, values: [...values] });
      this.#reached();
      return rows;
    } catch (error) {
      throw this.#lost(error);
    }
  }

  /** Runs statements in one transaction. Nothing but SQL may be waited for inside. */
  async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw this.#lost(error);
    });
    let failed: unknown;
    try {
      await client.query('begin');
      const result = await work((statement, values = []) => runOn(client, statement, values));
      await client.query('commit');
      this.#reached();
      return result;
    } catch (error) {
      failed = error;
      await client.query('rollback').catch(() => undefined);
      throw this.#lost(error);
    } finally {
      client.release(isAway(failed));
    }
  }

  #reached(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    // One that is only slow, or full, has forgotten nothing, and nobody lost an answer to it.
    if (!this.#wasCut) return;
    this.#wasCut = false;
    this.#returnedAt = this.clock.monotonic();
    for (const callback of this.#onReturn) callback();
  }

  #lost(error: unknown): unknown {
    if (!isAway(error)) return error;
    this.#isAway = true;
    if (isCut(error)) {
      this.#wasCut = true;
      for (const callback of this.#onCut) callback();
    }
    return new Problem('store_unavailable', 'The database cannot be reached; try again shortly.', {
      retry_after: RETRY_AFTER_S,
    });
  }
}

async function runOn<Row extends QueryResultRow>(
  client: PoolClient,
  statement: Statement,
  values: Values,
): Promise<Row[]> {
  return (await client.query<Row>({ ...statement, values: [...values] })).rows;
}

/** What the driver says without a code. No error of ours begins like this, whatever it is about. */
const DRIVER_AWAY =
  /^(Connection terminated|timeout e|Client (has|was)|Query read timeout|Cannot use a pool)/i;

/** True for an error that says that the database is away, full or stopping. */
export function isAway(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || error instanceof Problem) return false;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return UNAVAILABLE.test(code);
  // Socket errors have codes of their own; the pool's and the client's have none.
  if (typeof code === 'string') return !/^ERR_(?!SOCKET|STREAM|SSL|TLS)/.test(code);
  return typeof message === 'string' && DRIVER_AWAY.test(message);
}

/** SQLSTATEs of a connection that broke or a server that stops, and what the driver and the sockets say without one. */
const CUT = /^(08|57P0[123]|ECONN|EPIPE|EHOST|ENET|Connection terminated|Query read timeout)/;

function isCut(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return CUT.test(typeof code === 'string' ? code : String(message));
}
