import { Injectable, Logger } from '@nestjs/common';
import { Notifications } from '../database/notifications.js';
import { resourceOf } from '../http/caller.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import { within } from '../shared/within.js';
import { isGivenBack, isLeased, type Connection } from './connection.js';
import { ConnectionStore } from './connection.store.js';
import { RenewalAttempt, type Claim } from './renewal-attempt.js';
import { closedProblem } from './closed-provider.js';
import { RenewalClaims } from './renewal-claims.js';

/** How long a caller waits for a renewal, in milliseconds; the renewal itself goes on without it. */
const CALLER_WAITS_MS = 10_000;
/** A notification may be missed, so a waiter looks for itself this often. */
const POLL_MS = 500;

/** Who wants a renewal: a caller keeps to backoffs, an operator to pauses, a probe to neither. */
type Urgency = 'caller' | 'operator' | 'probe';
const PASSES = { caller: 'nothing', operator: 'backoff', probe: 'everything' } as const;

/** What came of a renewal. */
export interface Renewed {
  /** Written down, under the fence; false also where that has to wait. */
  readonly isKept: boolean;
  /** The connection as it will be, from memory, where a token has come and the database is away. */
  readonly early?: Connection;
}

/**
 * The one door: whoever wants a newer token comes through here, and all who want one of the same connection share one
 * renewal, in this process and across replicas.
 */
@Injectable()
export class TokenRenewer {
  readonly #logger = new Logger('Renewal');
  readonly #flights = new Map<string, Promise<Connection | undefined>>();
  readonly #running = new Map<Promise<unknown>, string | null>();
  /** What has come and cannot be written down yet, by whom it is for; `at` is monotonic. */
  readonly #early = new Map<string, { claim: Claim; connection: Connection; at: number }>();
  /** Calls that are out, by provider. */
  readonly #out = new Map<string, number>();

  constructor(
    private readonly store: ConnectionStore,
    private readonly attempt: RenewalAttempt,
    private readonly claims: RenewalClaims,
    private readonly notifications: Notifications,
    private readonly clock: Clock,
  ) {}

  /**
   * Renews a connection whose version `wanting` was found too short, or waits for whoever is doing so. Resolves to the
   * row as it then is, whatever came of it; undefined where that took longer than a caller waits (10 s).
   *
   * @param force also before a backoff is over: for operators
   */
  async renew(connection: Connection, wanting: number, force = false): Promise<Connection | undefined> {
    return this.#share(connection, wanting, force ? 'operator' : 'caller');
  }

  /** As `renew`, also of a provider that is paused or misconfigured: to see how it is. Neither is lifted by asking. */
  async probe(connection: Connection): Promise<Connection | undefined> {
    return this.#share(connection, connection.tokenVersion, 'probe');
  }

  /** Runs a renewal under a lease that was taken. Resolves early where it cannot be written down yet. */
  async run(claim: Claim): Promise<Renewed> {
    const { id, provider } = claim.claimed;
    const resource = resourceOf(claim.claimed);
    return new Promise((resolve, reject) => {
      const end = this.#begin(claim);
      const serveEarly = (early: Connection): void => {
        this.#early.set(resource, { claim, connection: early, at: this.clock.monotonic() });
        resolve({ early, isKept: false });
      };
      const running = this.track(this.attempt.run(claim, { serveEarly, answered: end }), provider).finally(
        () => {
          end();
          if (this.#early.get(resource)?.claim === claim) this.#early.delete(resource);
        },
      );
      running.then((kept) => resolve({ isKept: kept !== undefined }), reject);
      running.catch((error: unknown) =>
        this.#logger.error(`${id}: ${(error as Error | null)?.message ?? 'unknown error'}`),
      );
    });
  }

  /** The connection of whom `resource` names as it will be, where a token has come for it and the database is away. */
  early(resource: string): Connection | undefined {
    const early = this.#early.get(resource);
    if (!early) return undefined;
    const { connection, at } = early;
    return { ...connection, now: new Date(connection.now.getTime() + this.clock.monotonic() - at) };
  }

  /** Gives back what was claimed and is not begun any more. */
  async giveBack(claim: Claim): Promise<void> {
    await this.track(this.attempt.giveBack(claim)).finally(this.#begin(claim));
  }

  /** Counts work among what a stop waits for; `provider` where it takes one of a provider's slots. */
  async track<T>(work: Promise<T>, provider: string | null = null): Promise<T> {
    this.#running.set(work, provider);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  /** Renewals of one provider whose call has not come to its end. */
  countOut({ name }: TokenProvider): number {
    return this.#out.get(name) ?? 0;
  }

  /** Renewals that this process is running, of one provider or of all; also those that are only still to be written down. */
  countRunning(provider?: TokenProvider): number {
    if (!provider) return this.#running.size;
    return [...this.#running.values()].filter((name) => name === provider.name).length;
  }

  /** Resolves when all that is running is kept, or at `until` (monotonic); to the number that was left behind. */
  async drain(until: number): Promise<number> {
    for (;;) {
      // A flight between its gate and its claim runs nothing yet, and is about to.
      const work = [...this.#running.keys(), ...this.#flights.values()];
      const left = until - this.clock.monotonic();
      if (work.length === 0 || left <= 0) return work.length;
      await within(Promise.allSettled(work), left);
    }
  }

  /** Returns what is to be called when the call is over; again does no harm. */
  #begin(claim: Claim): () => void {
    const { provider } = claim.claimed;
    const count = (by: number): void => void this.#out.set(provider, (this.#out.get(provider) ?? 0) + by);
    let isOut = true;
    count(1);
    return () => {
      if (!isOut) return;
      isOut = false;
      count(-1);
      this.claims.end(claim);
    };
  }

  async #share(connection: Connection, wanting: number, urgency: Urgency): Promise<Connection | undefined> {
    // A grant that was changed from outside is another one: its renewal is not the one that may be running.
    const key = `${connection.id} ${connection.grantVersion} ${wanting} ${urgency}`;
    let flight = this.#flights.get(key);
    if (!flight) {
      // Detached: a caller who hangs up takes nothing with it.
      flight = this.#fly(connection, wanting, urgency).finally(() => this.#flights.delete(key));
      this.#flights.set(key, flight);
      flight.catch(() => undefined);
    }
    return within(flight, CALLER_WAITS_MS);
  }

  async #fly(connection: Connection, wanting: number, urgency: Urgency): Promise<Connection | undefined> {
    // Longer than one caller waits, for those who join late; each of them waits no longer than its own time.
    const until = this.clock.monotonic() + 2 * CALLER_WAITS_MS;
    let isFree = true;
    for (;;) {
      if (isFree) {
        const { claim, room } = await this.claims.one(connection, wanting, PASSES[urgency], until);
        if (claim) {
          const { early } = await this.run(claim);
          return early ?? this.store.findById(connection.id);
        }
        if (room?.closed) {
          const row = await this.store.findById(connection.id);
          if (row && row.tokenVersion > wanting) return row;
          throw closedProblem(connection, room.closed, room.waitS);
        }
        // It may be renewed, and there was no room for it: as many are renewed as the provider is to be asked for.
        if (room) {
          const row = await this.store.findById(connection.id);
          return row && row.tokenVersion > wanting ? row : undefined;
        }
      }
      const change = this.notifications.changeOf(connection.id, POLL_MS);
      const row = await this.store.findById(connection.id);
      if (!row || row.tokenVersion > wanting) return row;
      if (row.leaseUntil === null && !isGivenBack(row)) return row;
      if (this.clock.monotonic() >= until) return undefined;
      await change;
      // A lease that ran out belongs to somebody who died, and one that was given back to nobody: the next round takes it.
      isFree = !isLeased(row);
    }
  }
}
