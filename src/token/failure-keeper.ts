import { Injectable, Logger } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import type { Failure } from '../provider/verdict.js';
import type { ClaimedConnection } from './connection.js';
import { tracedBy, type KeptRow, type Written } from './kept-row.js';
import { LeaseStore } from './lease.store.js';
import { RefusalStore } from './refusal.store.js';
import {
  holdBack,
  isCountedRefusal,
  settleFailure,
  type FailureSettlement,
  type ProviderTraits,
} from './transition.js';

/** Keeps what failures do to connections, under the fence of their claims. */
@Injectable()
export class FailureKeeper {
  readonly #logger = new Logger('Renewal');

  constructor(
    private readonly leases: LeaseStore,
    private readonly refusals: RefusalStore,
    private readonly audit: AuditStore,
  ) {}

  /** Undefined where the lease is somebody else's by now. Throws Problem `store_unavailable`. */
  async settle(
    claimed: ClaimedConnection,
    failure: Failure,
    provider: ProviderTraits,
  ): Promise<KeptRow | undefined> {
    const settled = settleFailure(claimed, failure, provider, Math.random);
    if (!isCountedRefusal(claimed, failure, provider)) return this.keep(claimed, settled);
    const { kept, stopped } = await this.refusals.keep(claimed, settled, holdBack(claimed, failure));
    if (stopped) {
      this.#logger.error(
        `${claimed.provider}: refused too many connections within 10 min; nobody asks it until an operator has looked: resume it, or revive what it has ended`,
      );
    }
    return this.#noteTraced(kept);
  }

  async keep(claimed: ClaimedConnection, settled: FailureSettlement): Promise<KeptRow | undefined> {
    return this.#noteTraced(await this.leases.keepFailure(claimed, settled));
  }

  /** Gives back a lease under which nothing was sent; `unknown` keeps what the holder before left open. */
  async release(
    claimed: ClaimedConnection,
    unknown: ClaimedConnection['unknownOutcome'],
  ): Promise<Written | undefined> {
    return this.leases.release(claimed, unknown);
  }

  #noteTraced(row: KeptRow | undefined): KeptRow | undefined {
    const traced = row && tracedBy(row, 'failed');
    if (traced) this.audit.noteWritten(traced);
    return row;
  }
}
