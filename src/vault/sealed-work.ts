import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Problem } from '../shared/problem.js';
import type { Sealed } from '../shared/secret.js';
import { within } from '../shared/within.js';
import { KeyMetrics } from '../telemetry/key-metrics.js';
import { KeyCensus, rowsOf, type SealedRows } from './key-census.js';
import { KeyRing } from './key-ring.js';
import { pickStatement, resealStatement } from './reseal.sql.js';
import type { SealedTable } from './sealed-tables.js';
import { Vault, VaultError } from './vault.js';

/** A row of a table in which something is sealed, in the order of its columns. */
export interface Row {
  readonly id: string;
  readonly provider: string;
  readonly companyId: string;
  readonly sealed: readonly (Sealed | null)[];
  readonly versions: readonly number[];
}

/** A scrape waits no longer for the database. Milliseconds. */
const PATIENCE_MS = 1_000;

/** Which rows there are to be sealed anew, and how that is done. */
@Injectable()
export class SealedWork implements OnModuleInit {
  readonly #logger = new Logger('Keys');
  /** Rows that do not open, so that a person has to look; not tried again until the next start. */
  readonly #unopened = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly census: KeyCensus,
    private readonly ring: KeyRing,
    private readonly vault: Vault,
    private readonly metrics: KeyMetrics,
  ) {}

  onModuleInit(): void {
    this.metrics.lookUpBy(async () => {
      if (!this.ring.hasOlder) return;
      const counted = await within(
        this.census.lately().catch(() => undefined),
        PATIENCE_MS,
      );
      if (counted) this.#tellRows(counted, this.ring.newest('seal').id);
    });
  }

  /** What there is to be told of the keys themselves. */
  tell(): void {
    this.metrics.keysSeen({ ageS: this.ring.ageS, locked: this.ring.locked.length });
  }

  /** Rows of which something is sealed by an older key that is known here; those whose key nobody knows are for a person. */
  async left(newest: string): Promise<SealedRows[]> {
    const counted = await this.census.count();
    this.#tellRows(counted, newest);
    return this.#older(counted, newest);
  }

  /** Some of those, past the first `offset`. */
  async pick({ table, keys }: SealedRows, atMost: number, offset: number): Promise<Row[]> {
    const values = [[...this.#unopened], atMost, offset, ...keys];
    return this.database.run<Row & Record<string, unknown>>(pickStatement(table, keys), values);
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

  #older(counted: readonly SealedRows[], newest: string): SealedRows[] {
    return counted.filter(({ keys }) =>
      keys.some((key) => key !== null && key !== newest && this.ring.byId(key) !== undefined),
    );
  }

  #tellRows(counted: readonly SealedRows[], newest: string): void {
    const retiring = this.#older(counted, newest).reduce((sum, { rows }) => sum + rows, 0);
    this.metrics.rowsCounted({ active: rowsOf(counted, new Set([newest])), retiring });
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
        if (!this.#unopened.has(rowId)) this.#logger.error(`not sealed anew: ${error.message}`);
        this.#unopened.add(rowId);
        return value;
      }
    });
    return isAnyNew ? sealed : undefined;
  }
}
