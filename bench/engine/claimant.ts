import { Notifications } from '#broker/database/notifications.js';
import { Clock } from '#broker/shared/clock.js';
import { Metrics } from '#broker/telemetry/metrics.js';
import { CallsInFlight } from '#broker/token/calls-in-flight.js';
import type { ClaimedConnection } from '#broker/token/connection.js';
import { LeaseStore, type Leased } from '#broker/token/lease.store.js';
import { PaceStore, type Asking } from '#broker/token/pace.store.js';
import { ProviderStateStore } from '#broker/token/provider-state.store.js';
import { RecentWrites } from '#broker/token/recent-writes.js';
import type { Insides } from './insides.js';

/** Whatever version the row has, it is too short: the greatest integer of PostgreSQL. */
const MOST_VERSION = 2_147_483_647;

/** Claims as a replica does, by the broker's own stores; what it claimed is over at once. */
export class Claimant {
  readonly #calls = new CallsInFlight();
  readonly #leases: LeaseStore;
  readonly #asking: Asking;

  constructor({ database, settings }: Insides) {
    const [provider] = settings.providers;
    if (!provider) throw new Error('there is no provider to claim for');
    this.#asking = { settings: provider, credentials: 'none' };
    const recent = new RecentWrites(database, new Notifications(settings), new Clock(), new Metrics());
    this.#leases = new LeaseStore(
      database,
      new PaceStore(database, this.#calls, new ProviderStateStore(database)),
      recent,
    );
  }

  /** As the schedule claims: up to `limit` that are due. */
  async claimDue(limit: number): Promise<readonly ClaimedConnection[]> {
    return this.#over(await this.#leases.claimDue(this.#asking, limit));
  }

  /** As a caller claims whose token is too short: this one, due or not. */
  async claimOne(id: string): Promise<readonly ClaimedConnection[]> {
    return this.#over(await this.#leases.claim(this.#asking, id, MOST_VERSION, 'nothing'));
  }

  /** What is over is told with the next claim. */
  #over({ claimed, begun }: Leased): readonly ClaimedConnection[] {
    claimed.forEach(() => this.#calls.end(begun));
    return claimed;
  }
}
