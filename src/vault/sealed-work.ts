import { Injectable, Logger } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import type { Sealed } from '../shared/secret.js';
import { KeyMetrics } from '../telemetry/key-metrics.js';
import { KeyRing } from './key-ring.js';
import { keysOf, pickStatement, resealStatement, thereStatement, type Alike } from './reseal.sql.js';
import { SEALED_TABLES, type SealedTable } from './sealed-tables.js';
import { Vault, VaultError } from './vault.js';

/** A row of a table in which something is sealed, in the order of its columns. */
export interface Row {
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly sealed: readonly (Sealed | null)[];
  readonly versions: readonly number[];
}

/** A row that does not open is tried again so seldom: somebody may have mended it. Milliseconds. */
const UNOPENED_MS = 3_600_000;

/** Which rows there are to be sealed anew, and how that is done. */
@Injectable()
export class SealedWork {
  readonly #logger = new Logger('Keys');
  /** Rows that do not open, so that a person has to look: since when, in monotonic milliseconds, they have been left alone. */
  readonly #unopened = new Map<string, number>();
  /** Those that a person was told of. */
  readonly #told = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly ring: KeyRing,
    private readonly vault: Vault,
    private readonly metrics: KeyMetrics,
    private readonly clock: Clock,
  ) {}

  /**
   * Kinds of rows of which something is sealed by an older key that is known here; those whose key nobody knows are for a person.
   * They are looked for, and not counted, which takes long where they are many.
   */
  async left(newest: string): Promise<Alike[]> {
    const known = [null, ...this.ring.sealing.map(({ id }) => id)];
    const isOlder = (key: string | null): boolean => key !== null && key !== newest;
    const kinds = SEALED_TABLES.flatMap((table) =>
      combinations(known, table.columns.length)
        .filter((keys) => keys.some(isOlder))
        .map((keys) => ({ table, keys })),
    );
    if (kinds.length === 0) return [];
    const there = await this.database.run<{ at: number }>(thereStatement(kinds), [
      this.#leftAlone(),
      ...keysOf(kinds),
    ]);
    return there.flatMap(({ at }) => kinds[at] ?? []);
  }

  /** Some of those, past the first `offset`. */
  async pick(kind: Alike, atMost: number, offset: number): Promise<Row[]> {
    const values = [this.#leftAlone(), atMost, offset, ...keysOf([kind])];
    return this.database.run<Row & Record<string, unknown>>(pickStatement(kind), values);
  }

  /** How many of them are sealed by the newest key now. What does not open is told once. */
  async reseal(table: SealedTable, rows: readonly Row[]): Promise<number> {
    const ready = rows.flatMap((row) => {
      const sealed = this.#sealed(table, row);
      return sealed ? [{ row, sealed }] : [];
    });
    if (ready.length === 0) return 0;
    const values = [
      ready.map(({ row }) => row.id),
      ...table.columns.map((_, index) => ready.map(({ row }) => row.sealed[index] ?? null)),
      ...table.columns.map((_, index) => ready.map(({ sealed }) => sealed[index] ?? null)),
      ...table.versions.map((_, index) => ready.map(({ row }) => row.versions[index])),
    ];
    const done = await this.database.run(resealStatement(table), values);
    this.metrics.rowsResealed(done.length);
    return done.length;
  }

  #leftAlone(): string[] {
    const since = this.clock.monotonic() - UNOPENED_MS;
    for (const [id, at] of this.#unopened) if (at <= since) this.#unopened.delete(id);
    return [...this.#unopened.keys()];
  }

  /** Undefined where nothing of it could be sealed anew. */
  #sealed(table: SealedTable, row: Row): (Sealed | null)[] | undefined {
    const { id: rowId, provider, companyId } = row;
    let isAnyNew = false;
    const sealed = row.sealed.map((value, index) => {
      const column = table.columns[index] ?? '';
      if (!value) return null;
      const place = { table: table.name, column, rowId, provider, companyId };
      try {
        const anew = this.vault.seal(this.vault.open(value, place), place);
        isAnyNew = true;
        return anew;
      } catch (error) {
        if (!(error instanceof VaultError || error instanceof Problem)) throw error;
        if (!this.#told.has(rowId)) this.#logger.error(`not sealed anew: ${error.message}`);
        this.#told.add(rowId);
        this.#unopened.set(rowId, this.clock.monotonic());
        return value;
      }
    });
    return isAnyNew ? sealed : undefined;
  }
}

/** All ways to choose as many of these. */
function combinations<T>(of: readonly T[], many: number): T[][] {
  if (many === 0) return [[]];
  return of.flatMap((first) => combinations(of, many - 1).map((rest) => [first, ...rest]));
}
