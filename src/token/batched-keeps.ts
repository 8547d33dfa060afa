import { Injectable, Logger } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import { Database } from '../database/database.js';
import { Clock } from '../shared/clock.js';
import { outOfPublicLane } from '../shared/lane.js';
import { Problem } from '../shared/problem.js';
import type { ClaimedConnection } from './connection.js';
import { KEEP_TOKEN, KEEP_TOKENS, manyOf } from './keep-token.sql.js';
import { tokenValues, type KeptRenewal } from './kept-grant.js';
import { tracedBy, type KeptRow } from './kept-row.js';

/** Rows of one statement at the most: about 0.2 MB, and some milliseconds of the database. */
const MOST = 100;

/** Under what a renewal is kept: the lease, or at least the versions, of its claim. */
export type Fence = Pick<ClaimedConnection, 'id' | 'leaseEpoch' | 'tokenVersion' | 'grantVersion'>;

interface Keep {
  readonly claimed: ClaimedConnection;
  readonly renewal: KeptRenewal;
  readonly arrivedAt: number;
  readonly settle: (row: KeptRow | undefined) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Writes renewals: one that is alone at once, and those that arrive while another is being written in one statement after
 * it. A commit that notifies shares its wait for the disk with no other, since NOTIFY's lock is held meanwhile; so
 * renewals that are kept one by one are as slow as the disk, and those kept together cost it one wait. The price: under
 * load a renewal waits for the statement before its own.
 */
@Injectable()
export class BatchedKeeps {
  readonly #logger = new Logger('Renewal');
  #waiting: Keep[] = [];
  #isWriting = false;
  /** Their statement could not be written; should that be the fault of one of them, the others must not share it again. */
  readonly #alone = new WeakSet<ClaimedConnection>();

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly audit: AuditStore,
  ) {}

  /** Resolves to the row as it is kept, undefined where the fence says no. Throws Problem `store_unavailable`. */
  async keep(claimed: ClaimedConnection, renewal: KeptRenewal): Promise<KeptRow | undefined> {
    const arrivedAt = this.clock.monotonic();
    if (!this.#alone.has(claimed)) {
      const kept = await new Promise<KeptRow | undefined>((settle, fail) => {
        this.#waiting.push({ claimed, renewal, arrivedAt, settle, fail });
        if (!this.#isWriting) void outOfPublicLane(() => this.#writeWaiting());
      });
      if (kept) return kept;
    }
    return this.keepAlone(claimed, older(renewal, this.clock.monotonic() - arrivedAt));
  }

  /** In a statement of its own, which waits for the row where somebody else has locked it. */
  async keepAlone(fence: Fence, renewal: KeptRenewal): Promise<KeptRow | undefined> {
    const [row] = await this.database.run<KeptRow>(KEEP_TOKEN, valuesOf(fence, renewal));
    if (row) this.#noteTraced([row]);
    return row;
  }

  async #writeWaiting(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) await this.#write(this.#takeBatch());
    this.#isWriting = false;
  }

  /** Never two of the same connection: in one statement, the second would not see what the first has changed. */
  #takeBatch(): Map<string, Keep> {
    const batch = new Map<string, Keep>();
    this.#waiting = this.#waiting.filter((keep) => {
      const { id } = keep.claimed;
      if (batch.size === MOST || batch.has(id)) return true;
      batch.set(id, keep);
      return false;
    });
    return batch;
  }

  async #write(batch: ReadonlyMap<string, Keep>): Promise<void> {
    const keeps = [...batch.values()];
    try {
      const rows = await this.database.run<KeptRow>(KEEP_TOKENS, [this.#manyOf(keeps)]);
      this.#noteTraced(rows);
      const kept = new Map(rows.map((row) => [row.id, row]));
      for (const { claimed, settle } of keeps) settle(kept.get(claimed.id));
    } catch (error) {
      if (error instanceof Problem) this.#failAll(keeps, error);
      else this.#writeEach(keeps, error);
    }
  }

  /** Also those who wait behind: else each statement in turn would have to run into the same timeout. */
  #failAll(keeps: readonly Keep[], error: Problem): void {
    for (const { claimed } of keeps) this.#alone.add(claimed);
    const behind = this.#waiting;
    this.#waiting = [];
    for (const { fail } of [...keeps, ...behind]) fail(error);
  }

  /** One row that the database refuses takes no other with it. */
  #writeEach(keeps: readonly Keep[], error: unknown): void {
    const { code = 'no code' } = error as { code?: string };
    this.#logger.error(`${keeps.length} renewals could not be kept together (${code}): each by itself now`);
    for (const { settle } of keeps) settle(undefined);
  }

  #noteTraced(rows: readonly KeptRow[]): void {
    for (const row of rows) {
      const traced = tracedBy(row, 'allowed');
      if (traced) this.audit.noteWritten(traced);
    }
  }

  #manyOf(keeps: readonly Keep[]): string {
    const now = this.clock.monotonic();
    return manyOf(
      keeps.map(({ claimed, renewal, arrivedAt }) => valuesOf(claimed, older(renewal, now - arrivedAt))),
    );
  }
}

function older(renewal: KeptRenewal, ms: number): KeptRenewal {
  return { ...renewal, ageS: renewal.ageS + ms / 1_000 };
}

/** In the order in which the statements take them. */
function valuesOf({ id, leaseEpoch, tokenVersion, grantVersion }: Fence, renewal: KeptRenewal): unknown[] {
  const fence = [id, leaseEpoch, tokenVersion, grantVersion];
  return [...fence, ...tokenValues(renewal), renewal.scopes, renewal.sealedGrant, renewal.refreshTokenKept];
}
