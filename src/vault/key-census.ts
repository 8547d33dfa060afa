import { Injectable } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';
import { Clock } from '../shared/clock.js';
import { keyColumnOf, SEALED_TABLES, type SealedTable } from './sealed-tables.js';

/** Rows of one table that are sealed by the same keys: one key a sealed column, null where nothing lies there. */
export interface SealedRows {
  readonly table: SealedTable;
  readonly keys: readonly (string | null)[];
  readonly rows: number;
}

/** Counting so many is done at once, whenever somebody asks. */
const FEW = 50_000;
/** Of more, a count is good for this many times as long as it took: counting never takes more than a twentieth of the time. */
const GOOD_FOR = 20;

const keysOf = ({ columns }: SealedTable): string => columns.map(keyColumnOf).join(', ');

/** Answered by an index on just these columns, whose entries are nearly all alike, so that it is small. */
const COUNTS = SEALED_TABLES.map((table) => ({
  table,
  statement: {
    text: `select array[${keysOf(table)}] as keys, count(*)::integer as rows from ${table.name} group by ${keysOf(table)}`,
  },
}));

/** How many rows are sealed by which data keys. The database knows; nobody keeps a count beside it that could be wrong. */
@Injectable()
export class KeyCensus {
  #last:
    { readonly counted: readonly SealedRows[]; readonly at: number; readonly tookMs: number } | undefined;
  #counting: Promise<readonly SealedRows[]> | undefined;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** As it is now. */
  async count(): Promise<readonly SealedRows[]> {
    return (this.#counting ??= this.#count().finally(() => (this.#counting = undefined)));
  }

  /** As it is now where that are few rows, else as it was a moment ago: nobody can make the database count without end. */
  async lately(): Promise<readonly SealedRows[]> {
    const last = this.#last;
    const isLarge = (last?.counted.reduce((sum, { rows }) => sum + rows, 0) ?? 0) > FEW;
    if (last && isLarge && this.clock.monotonic() - last.at < GOOD_FOR * last.tookMs) return last.counted;
    return this.count();
  }

  /** Whether a row is sealed by this key; as the transaction sees it. */
  async isUsed(run: Run, keyId: string): Promise<boolean> {
    for (const { name, columns } of SEALED_TABLES) {
      const condition = columns.map((column) => `${keyColumnOf(column)} = $1`).join(' or ');
      const found = await run({ text: `select 1 from ${name} where ${condition} limit 1` }, [keyId]);
      if (found.length > 0) return true;
    }
    return false;
  }

  async #count(): Promise<readonly SealedRows[]> {
    const at = this.clock.monotonic();
    const counted: SealedRows[] = [];
    for (const { table, statement } of COUNTS) {
      const groups = await this.database.run<{ keys: (string | null)[]; rows: number }>(statement);
      counted.push(
        ...groups
          .filter(({ keys }) => keys.some((key) => key !== null))
          .map((group) => ({ table, ...group })),
      );
    }
    const now = this.clock.monotonic();
    this.#last = { counted, at: now, tookMs: now - at };
    return counted;
  }
}

/** Of all rows, those of which anything is sealed by one of these keys. */
export function rowsOf(counted: readonly SealedRows[], keyIds: ReadonlySet<string>): number {
  return counted
    .filter(({ keys }) => keys.some((key) => key !== null && keyIds.has(key)))
    .reduce((sum, { rows }) => sum + rows, 0);
}
