import { Inject, Injectable } from '@nestjs/common';
import type { Pool, QueryConfig, QueryResultRow } from 'pg';
import { DataSource } from 'typeorm';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import type { Channel } from './channel.js';
import { isInPublicLane, outOfPublicLane } from '../shared/lane.js';
import { Problem } from '../shared/problem.js';

/** SQL with a name is prepared once per connection; use it for what runs often. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  /** The rows that it returns have changed, and the other replicas are told so on this channel. */
  readonly tells?: Channel;
  /** Milliseconds for which it may go on, instead of those of all others; its transaction has told the server so, too. */
  readonly atMostMs?: number;
}

/** The pool for what the public listener causes; null where that listener is off. */
export const PUBLIC_POOL = Symbol('public pool');

type Values = readonly unknown[];
/** Runs a statement inside of a transaction. */
export interface Run {
  <Row extends QueryResultRow>(statement: Statement, values?: Values): Promise<Row[]>;
  /** Calls back once the transaction is committed; never where it is not. */
  afterCommit(callback: () => void): void;
}

/** Seconds after which a caller may try again when the database is away. */
const RETRY_AFTER_S = 5;

/**
 * SQLSTATE classes and codes that mean: the database is away, full, in a conflict, too slow or does not let us in, and
 * nothing is wrong with the statement, which may be run again.
 */
const UNAVAILABLE = /^(08|28|40|42501|53|55000|55P03|57P|57014|25006|58|XX)/;

/**
 * The way to PostgreSQL: written SQL over the pool of the TypeORM data source, without its row mapping, which costs
 * more than the statement; over a small pool of its own for what the public listener causes. Throws Problem `store_unavailable` where the database cannot be reached.
 */
@Injectable()
export class Database {
  readonly #ownPool: Pool;
  readonly #onCut: (() => void)[] = [];
  readonly #onReturn: (() => void)[] = [];
  readonly #onTold = new Map<Channel, ((id: string) => void)[]>();
  readonly #named: boolean;
  #isAway = false;
  #wasCut = false;
  /** Monotonic milliseconds at which it was first reached again. Whoever starts cannot know that it was not away until now. */
  #returnedAt: number;

  constructor(
    @Inject(DataSource) dataSource: DataSource,
    private readonly clock: Clock,
    @Inject(PUBLIC_POOL) private readonly publicPool: Pool | null = null,
    @Inject(SETTINGS) settings: Pick<Settings, 'database'> | null = null,
  ) {
    this.#named = settings?.database.namedStatements ?? true;
    this.#ownPool = (dataSource.driver as unknown as { master: Pool }).master;
    this.#returnedAt = clock.monotonic();
  }

  /** Seconds for which this process knows that it was not away; 0 while it is. Being slow does not count. */
  secondsSinceAway(): number {
    return this.#wasCut ? 0 : (this.clock.monotonic() - this.#returnedAt) / 1_000;
  }

  /** Its connections were cut, and it was not reached since. One that is only slow, or in a conflict, is there. */
  get isCut(): boolean {
    return this.#wasCut;
  }

  /** Calls back when a connection was cut, and not merely too slow to get: another server may answer the next. */
  onCut(callback: () => void): void {
    this.#onCut.push(callback);
  }

  /** Calls back each time that it is reached again after that. */
  onReturn(callback: () => void): void {
    this.#onReturn.push(callback);
  }

  /** Calls back with the id of each row that this process has changed, before anybody can know that it is done. */
  onTold(channel: Channel, callback: (id: string) => void): void {
    this.#onTold.set(channel, [...(this.#onTold.get(channel) ?? []), callback]);
  }

  /** Runs one statement and returns its rows. */
  async run<Row extends QueryResultRow>(statement: Statement, values: Values = []): Promise<Row[]> {
    try {
      const { rows } = await this.#pool.query<Row>(this.#query(statement, values));
      this.#reached();
      this.#tell(statement, rows);
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
    // Of a connection that breaks its statement tells, too; what is said twice without a listener would end the process.
    client.on('error', ignore);
    const committed: (() => void)[] = [];
    const run: Run = Object.assign(
      async <Row extends QueryResultRow>(statement: Statement, values: Values = []) => {
        const { rows } = await client.query<Row>(this.#query(statement, values));
        committed.push(() => this.#tell(statement, rows));
        return rows;
      },
      { afterCommit: (callback: () => void) => void committed.push(callback) },
    );
    let failed: unknown;
    try {
      await client.query('begin');
      const result = await work(run);
      await client.query('commit');
      this.#reached();
      for (const callback of committed) callback();
      return result;
    } catch (error) {
      failed = error;
      await client.query('rollback').catch(() => undefined);
      throw this.#lost(error);
    } finally {
      client.release(isAway(failed));
      client.off('error', ignore);
    }
  }

  #tell({ tells }: Statement, rows: readonly QueryResultRow[]): void {
    if (!tells) return;
    for (const callback of this.#onTold.get(tells) ?? [])
      for (const { id } of rows as readonly { id: string }[]) callback(id);
  }

  /** Connections that this process has open now, but for the one that listens. */
  countOpen(): number {
    return this.#ownPool.totalCount + (this.publicPool?.totalCount ?? 0);
  }

  /** The pools of this process, as they stand now. */
  pools(): { pool: 'internal' | 'public'; open: number; idle: number; waiting: number }[] {
    const standing = (pool: 'internal' | 'public', of: Pool) => ({
      pool,
      open: of.totalCount,
      idle: of.idleCount,
      waiting: of.waitingCount,
    });
    return [
      standing('internal', this.#ownPool),
      ...(this.publicPool ? [standing('public', this.publicPool)] : []),
    ];
  }

  #query({ name, text, atMostMs }: Statement, values: Values): QueryConfig {
    const patience = atMostMs === undefined ? {} : { query_timeout: atMostMs };
    return { ...(name !== undefined && this.#named ? { name } : {}), ...patience, text, values: [...values] };
  }

  get #pool(): Pool {
    return (isInPublicLane() ? this.publicPool : null) ?? this.#ownPool;
  }

  #reached(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    // One that is only slow, or full, has forgotten nothing, and nobody lost an answer to it.
    if (!this.#wasCut) return;
    this.#wasCut = false;
    this.#returnedAt = this.clock.monotonic();
    for (const callback of this.#onReturn) outOfPublicLane(callback);
  }

  #lost(error: unknown): unknown {
    if (!isAway(error)) return error;
    this.#isAway = true;
    if (isCut(error)) {
      this.#wasCut = true;
      for (const callback of this.#onCut) outOfPublicLane(callback);
    }
    const problem = new Problem('store_unavailable', 'The database cannot be reached; try again shortly.', {
      retry_after: RETRY_AFTER_S,
    });
    // Its code alone: what the server says may quote a row.
    problem.cause = (error as { code?: unknown }).code;
    return problem;
  }
}

const ignore = (): void => undefined;

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
