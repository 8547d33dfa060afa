import { Injectable } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import { CallsInFlight } from './calls-in-flight.js';
import type { Connection } from './connection.js';
import { LeaseStore, type Leased } from './lease.store.js';
import { ProviderHealth } from './provider-health.js';
import type { Claim } from './renewal-attempt.js';
import type { Room } from './room.js';
import { WaitingLines } from './waiting-lines.js';

/** What came of claiming one connection. */
export interface SingleClaim {
  readonly claim: Claim | undefined;
  readonly room: Room | undefined;
}

/** What came of a look at what is due. */
export interface DueClaims {
  readonly claims: readonly Claim[];
  /** Undefined where nothing is due. */
  readonly room: Room | undefined;
}

/** A wait that is over before it begins would ask again in vain. */
const LEAST_WAIT_S = 0.002;

/** The right to renew: a lease on the connection, and room at its provider, both or neither. */
@Injectable()
export class RenewalClaims {
  readonly #lines = new WaitingLines();

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly leases: LeaseStore,
    private readonly health: ProviderHealth,
    private readonly calls: CallsInFlight,
    private readonly clock: Clock,
  ) {}

  /**
   * Claims one connection, waiting for room at its provider until `until` (monotonic). Without a claim, `room` tells why there
   * is none, and is undefined where the connection itself is not free. Throws Problem `provider_not_found`.
   */
  async one(
    { id, provider }: Connection,
    wanting: number,
    pass: 'nothing' | 'backoff' | 'everything',
    until: number,
  ): Promise<SingleClaim> {
    const asking = this.health.asking(this.registry.get(provider));
    const attempt = async (): Promise<SingleClaim> => {
      // Before the clock of the lease begins to run.
      await this.leases.certain();
      const claimedAt = this.clock.monotonic();
      const leased = await this.leases.claim(asking, id, wanting, pass);
      return { claim: claimsOf(leased, claimedAt)[0], room: leased.room };
    };
    if (pass === 'everything') return attempt();
    // Whoever cannot be renewed, or need not be any more, waits for no place.
    const first = await attempt();
    if (isDecided(first)) return first;
    return this.#lines.join(provider, async () => {
      for (;;) {
        const next = await attempt();
        if (isDecided(next) || this.clock.monotonic() >= until) return next;
        await this.calls.nextEnd(provider, Math.max(next.room?.waitS ?? 0, LEAST_WAIT_S));
      }
    });
  }

  /** Claims up to `limit` of what is due; one, and any, where the provider is being probed. */
  async due(provider: TokenProvider, limit: number): Promise<DueClaims> {
    if (!this.leases.isCertain() || !this.health.opensGrants) return { claims: [], room: undefined };
    const asking = this.health.asking(provider);
    const claimedAt = this.clock.monotonic();
    let leased = await this.leases.claimDue(asking, limit);
    if (leased.room?.probed && leased.room.calls > 0) leased = await this.leases.claimProbe(asking);
    if (leased.claimed.length === 0) await this.health.rest(provider);
    return { claims: claimsOf(leased, claimedAt), room: leased.room };
  }

  /** A claim is over, whatever came of it: its place is free. */
  end({ begun, room }: Claim): void {
    this.health.end(begun, room);
  }
}

function claimsOf({ claimed, room, begun }: Leased, claimedAt: number): Claim[] {
  return room ? claimed.map((connection) => ({ claimed: connection, claimedAt, room, begun })) : [];
}

/** Waiting for room would change nothing. */
function isDecided({ claim, room }: SingleClaim): boolean {
  return claim !== undefined || room === undefined || room.closed !== null;
}
