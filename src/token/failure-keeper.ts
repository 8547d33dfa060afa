import { Injectable, Logger } from '@nestjs/common';
import type { Failure } from '../provider/verdict.js';
import type { ClaimedConnection, Connection } from './connection.js';
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
  ) {}

  /** Undefined where the lease is somebody else's by now. Throws Problem `store_unavailable`. */
  async settle(
    claimed: ClaimedConnection,
    failure: Failure,
    provider: ProviderTraits,
  ): Promise<Connection | undefined> {
    const settled = settleFailure(claimed, failure, provider, Math.random);
    if (!isCountedRefusal(claimed, failure, provider)) return this.keep(claimed, settled);
    const { kept, stopped } = await this.refusals.keep(claimed, settled, holdBack(claimed, failure));
    if (stopped) {
      this.#logger.error(
        `${claimed.provider}: refused too many connections within 10 min; nobody asks it until an operator has looked: resume it, or revive what it has ended`,
      );
    }
    return kept;
  }

  async keep(claimed: ClaimedConnection, settled: FailureSettlement): Promise<Connection | undefined> {
    return this.leases.keepFailure(claimed, settled);
  }

  /** Gives back a lease under which nothing was sent; `unknown` keeps what the holder before left open. */
  async release(
    claimed: ClaimedConnection,
    unknown: ClaimedConnection['unknownOutcome'],
  ): Promise<Connection | undefined> {
    return this.leases.release(claimed, unknown);
  }
}
