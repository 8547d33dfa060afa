import type { CallsInFlight } from '#broker/token/calls-in-flight.js';
import type { ClaimedConnection } from '#broker/token/connection.js';
import type { LeaseStore, Leased } from '#broker/token/lease.store.js';
import type { Asking } from '#broker/token/pace.store.js';
import type { Insides } from './insides.js';

/** Whatever version the row has, it is too short: the greatest integer of PostgreSQL. */
const MOST_VERSION = 2_147_483_647;

/** Claims as a replica does, by the broker's own stores; what it claimed is over at once. */
export class Claimant {
  readonly #calls: CallsInFlight;
  readonly #leases: LeaseStore;
  readonly #asking: Asking;

  constructor({ leases, calls, settings }: Insides) {
    const [provider] = settings.providers;
    if (!provider) throw new Error('there is no provider to claim for');
    this.#asking = { settings: provider, credentials: 'none' };
    this.#leases = leases;
    this.#calls = calls;
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
