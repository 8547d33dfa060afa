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

/** What came of a look at what is due. */
export interface DueClaims {
  readonly claims: readonly Claim[];
  /** Undefined where nothing is due. */
  readonly room: Room | undefined;
}

/** The right to renew: a lease on the connection, and room at its provider, both or neither. */
@Injectable()
export class RenewalClaims {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly leases: LeaseStore,
    private readonly health: ProviderHealth,
    private readonly calls: CallsInFlight,
    private readonly clock: Clock,
  ) {}

  /**
   * Claims one connection; without a claim, `room` tells why its provider may not be asked, and is undefined where the
   * connection is not free. Throws Problem `provider_not_found`.
   */
  async one(
    { id, provider }: Connection,
    wanting: number,
    pass: 'nothing' | 'backoff' | 'everything',
  ): Promise<{ claim: Claim | undefined; room: Room | undefined }> {
    const asking = this.health.asking(this.registry.get(provider));
    const claimedAt = this.clock.monotonic();
    const leased = await this.leases.claim(asking, id, wanting, pass);
    return { claim: claimsOf(leased, claimedAt)[0], room: leased.room };
  }

  /** Claims up to `limit` of what is due; one, and any, where the provider is being probed. */
  async due(provider: TokenProvider, limit: number): Promise<DueClaims> {
    const asking = this.health.asking(provider);
    const claimedAt = this.clock.monotonic();
    let leased = await this.leases.claimDue(asking, limit);
    if (leased.room?.probed && leased.room.calls > 0) leased = await this.leases.claimProbe(asking);
    return { claims: claimsOf(leased, claimedAt), room: leased.room };
  }

  /** A claim is over, whatever came of it: its place is free. */
  end({ begun }: Claim): void {
    this.calls.end(begun);
  }

  /** Resolves when there may be room again. */
  async nextRoom(provider: string, { waitS }: Room): Promise<void> {
    await this.calls.nextEnd(provider, Math.max(waitS, LEAST_WAIT_S));
  }
}

/** A wait that is over before it begins would ask again in vain. */
const LEAST_WAIT_S = 0.002;

function claimsOf({ claimed, room, begun }: Leased, claimedAt: number): Claim[] {
  return room ? claimed.map((connection) => ({ claimed: connection, claimedAt, room, begun })) : [];
}
