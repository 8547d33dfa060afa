import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';
import { Clock } from '../shared/clock.js';
import { Failures } from './failures.js';
import type { Alike } from './reseal.sql.js';
import { keyColumnOf, SEALED_TABLES, type SealedTable } from './sealed-tables.js';

/** How many rows of a kind there are. */
export interface SealedRows extends Alike {
  readonly rows: number;
}

/** What is sealed by which keys, as it was at a moment. */
export interface Census {
  readonly counted: readonly SealedRows[];
  readonly at: Date;
}

/** Counting so many is done at once, whenever somebody asks. */
const FEW = 50_000;
/**
 * How long a count of more is good, of what it took. It takes a core of the database for as long as it lasts: at more than a
 * hundredth of the time, the slowest hundredth of all fetches would be those that met it. But an alert goes by it, so that it is made
 * anew within ten minutes, unless it would be under way for more than a twentieth of the time then. Milliseconds.
 */
export function goodForMs(tookMs: number): number {
  return Math.max(20 * tookMs, Math.min(200 * tookMs, 600_000));
}

/**
 * Nothing but a person and a graph waits for it, so that a very large table may take longer than other statements do; not
 * without end, since nothing is vacuumed of what was deleted meanwhile. Milliseconds.
 */
const TAKES_AT_MOST_MS = 300_000;
/** Of the transaction that it is in; the connection that this is, so that it can be ended. */
const TAKE_LONG = {
  text: `select set_config('statement_timeout', '${TAKES_AT_MOST_MS}', true), pg_backend_pid() as pid`,
};
/** The server ends it first. */
const atMostMs = TAKES_AT_MOST_MS + 1_000;
const END = { text: 'select pg_cancel_backend($1)' };

const keysOf = ({ columns }: SealedTable): string => columns.map(keyColumnOf).join(', ');

/** Answered by an index on just these columns, whose entries are nearly all alike, so that it is small. */
const COUNTS = SEALED_TABLES.map((table) => ({
  table,
  statement: {
    text: `select array[${keysOf(table)}] as keys, count(*)::integer as rows from ${table.name} group by ${keysOf(table)}`,
    atMostMs,
  },
}));

/** How many rows are sealed by which data keys. The database knows; nobody keeps a count beside it that could be wrong. */
@Injectable()
export class KeyCensus implements BeforeApplicationShutdown {
  readonly #failures: Failures;
  #last: Census | undefined;
  /** Monotonic milliseconds before which nobody counts again what took long. */
  #notBefore = -Infinity;
  #counting: Promise<void> | undefined;
  /** The database's name for the connection that counts. */
  #pid: number | undefined;
  #isStopping = false;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {
    this.#failures = new Failures('counting what is sealed by which key', new Logger('Keys'), clock);
  }

  /** A count is not worth waiting for. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#isStopping = true;
    if (this.#pid !== undefined) await this.database.run(END, [this.#pid]).catch(() => undefined);
  }

  /** Why rows could not be counted; undefined where they could. */
  get why(): string | undefined {
    return this.#failures.why;
  }

  /**
   * As it is now where that are few rows, else as it was a moment ago: nobody can make the database count without end. Where it
   * cannot be counted, as it was when it last could be; undefined where it never could.
   */
  async lately(): Promise<Census | undefined> {
    if (this.clock.monotonic() >= this.#notBefore)
      await (this.#counting ??= this.#count().finally(() => (this.#counting = undefined)));
    return this.#last;
  }

  /** As it was when it was last counted. */
  get last(): Census | undefined {
    return this.#last;
  }

  /** Whether a row is sealed by this key; as the transaction sees it, which may take as long as a count. */
  async isUsed(run: Run, keyId: string): Promise<boolean> {
    await run(TAKE_LONG);
    for (const { name, columns } of SEALED_TABLES) {
      const condition = columns.map((column) => `${keyColumnOf(column)} = $1`).join(' or ');
      const text = `select 1 from ${name} where ${condition} limit 1`;
      if ((await run({ text, atMostMs }, [keyId])).length > 0) return true;
    }
    return false;
  }

  async #count(): Promise<void> {
    const begunAt = this.clock.monotonic();
    let isFew = false;
    try {
      const counted = await this.database.transaction((run) => this.#countAll(run));
      isFew = counted.reduce((sum, { rows }) => sum + rows, 0) <= FEW;
      this.#last = { counted, at: this.clock.now() };
      this.#failures.worked();
    } catch (error) {
      if (!this.#isStopping) this.#failures.failed(error);
    }
    this.#pid = undefined;
    const now = this.clock.monotonic();
    this.#notBefore = isFew ? now : now + goodForMs(now - begunAt);
  }

  async #countAll(run: Run): Promise<SealedRows[]> {
    const [row] = await run<{ pid: number }>(TAKE_LONG);
    this.#pid = row?.pid;
    const counted: SealedRows[] = [];
    for (const { table, statement } of COUNTS) {
      const groups = await run<{ keys: (string | null)[]; rows: number }>(statement);
      counted.push(
        ...groups
          .filter(({ keys }) => keys.some((key) => key !== null))
          .map((group) => ({ table, ...group })),
      );
    }
    return counted;
  }
}

/** Of all rows, those of which anything is sealed by one of these keys. */
export function rowsOf(counted: readonly SealedRows[], keyIds: ReadonlySet<string>): number {
  return counted
    .filter(({ keys }) => keys.some((key) => key !== null && keyIds.has(key)))
    .reduce((sum, { rows }) => sum + rows, 0);
}
