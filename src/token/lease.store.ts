import { Injectable } from '@nestjs/common';
import type { QueryResultRow } from 'pg';
import { Database } from '../database/database.js';
import { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { BatchedKeeps } from './batched-keeps.js';
import type { BegunCalls } from './calls-in-flight.js';
import type { ClaimedConnection } from './connection.js';
import type { KeptRenewal } from './kept-grant.js';
import { countKept, type KeptRow, type Written } from './kept-row.js';
import { LEASE_SQL } from './lease.sql.js';
import { PaceStore, type Asking } from './pace.store.js';
import { RecentWrites } from './recent-writes.js';
import { RememberedRenewal } from './remembered-renewal.js';
import { readRoom, type Room, type RoomRow } from './room.js';
import type { FailureSettlement } from './transition.js';

/** What came of asking for leases. `room` is undefined where nothing was free to be leased. */
export interface Leased {
  readonly room: Room | undefined;
  readonly claimed: readonly ClaimedConnection[];
  /** Under which name each of these calls is to be ended. */
  readonly begun: BegunCalls;
}

type Row = RoomRow & Omit<ClaimedConnection, 'id'> & { readonly id: string | null } & QueryResultRow;

/** A renewal's hold on its connection: taken with room for the call, and given back with every outcome, under the fence. */
@Injectable()
export class LeaseStore {
  constructor(
    private readonly database: Database,
    private readonly pace: PaceStore,
    private readonly keeps: BatchedKeeps,
    private readonly recent: RecentWrites,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Takes the lease of one connection, for somebody who waits: not where it is held, or there is nothing to renew (any more).
   *
   * @param pass what does not keep it from being renewed: nothing, a backoff, or a backoff and whatever closes the provider
   */
  async claim(
    asking: Asking,
    id: string,
    wanting: number,
    pass: 'nothing' | 'backoff' | 'everything',
  ): Promise<Leased> {
    return this.#lease(asking, LEASE_SQL.claim, [id, wanting, pass !== 'nothing', pass === 'everything']);
  }

  /** False while a failover may have brought back what was spent already: then nothing is due yet. */
  isCertain(): boolean {
    return this.recent.isCertain();
  }

  /** Resolves once that is over. Throws Problem `store_unavailable` where it takes longer than a caller waits. */
  async certain(): Promise<void> {
    if (!(await this.recent.certain())) throw notCertain();
  }

  /** Takes the leases of up to `limit` due connections, those that expire soonest. */
  async claimDue(asking: Asking, limit: number): Promise<Leased> {
    return this.#lease(asking, LEASE_SQL.claimDue, [limit]);
  }

  /** Takes the lease of one due connection, a random one. */
  async claimProbe(asking: Asking): Promise<Leased> {
    return this.#lease(asking, LEASE_SQL.claimProbe, []);
  }

  /** Undefined where the fence says no: somebody changed the grant, or kept a newer token, meanwhile. */
  async keepToken(claimed: ClaimedConnection, renewal: KeptRenewal): Promise<KeptRow | undefined> {
    const row = await this.keeps.keep(claimed, renewal);
    countKept(this.metrics, claimed, row);
    if (row) this.recent.remember(new RememberedRenewal(claimed, renewal, this.keeps));
    return row;
  }

  /** Undefined where the lease is somebody else's by now. */
  async keepFailure(claimed: ClaimedConnection, settled: FailureSettlement): Promise<KeptRow | undefined> {
    const values = failureValues(claimed, settled, false);
    const [row] = await this.database.run<KeptRow>(LEASE_SQL.keepFailure, values);
    countKept(this.metrics, claimed, row);
    return row;
  }

  /** Gives back a lease under which nothing was sent; `unknown` keeps what the holder before left open. */
  async release(
    claimed: ClaimedConnection,
    unknown: ClaimedConnection['unknownOutcome'],
  ): Promise<Written | undefined> {
    const values = [claimed.id, claimed.leaseEpoch, unknown, claimed.unansweredS !== null];
    const [row] = await this.database.run<Written>(LEASE_SQL.release, values);
    if (!row) this.metrics.leaseLost(claimed.provider);
    return row;
  }

  async #lease(
    asking: Asking,
    statement: (typeof LEASE_SQL)['claim' | 'claimDue' | 'claimProbe'],
    values: readonly unknown[],
  ): Promise<Leased> {
    const { rows, begun } = await this.pace.asking<Row>(asking, statement, values);
    const claimed = rows.filter((row): row is Row & ClaimedConnection => row.id !== null);
    for (const { crashed, provider } of claimed) if (crashed) this.metrics.crashTakenOver(provider);
    return { room: readRoom(rows[0]), claimed, begun };
  }
}

function notCertain(): Problem {
  return new Problem(
    'store_unavailable',
    'The database was away, and what it may have forgotten is still being written again; try again shortly.',
    { retry_after: 3 },
  );
}

/** The values of `keepFailure`. */
export function failureValues(
  claimed: ClaimedConnection,
  settled: FailureSettlement,
  isRefusal: boolean,
): unknown[] {
  const { status, statusReason, lastError, consecutiveFailures, refusals, unknownOutcome } = settled;
  const values = [claimed.id, claimed.leaseEpoch, status, statusReason, lastError, consecutiveFailures];
  const { tokenVersion, grantVersion } = claimed;
  const { renewInS, unanswered } = settled;
  return [...values, refusals, unknownOutcome, renewInS, isRefusal, tokenVersion, grantVersion, unanswered];
}
