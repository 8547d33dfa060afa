import { Injectable } from '@nestjs/common';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Failure } from '../provider/verdict.js';
import { Clock } from '../shared/clock.js';
import { CallsInFlight, type BegunCalls } from './calls-in-flight.js';
import { PaceStore } from './pace.store.js';
import { ProviderHealth } from './provider-health.js';
import type { Room } from './room.js';
import { WaitingLines } from './waiting-lines.js';

/** How long somebody who brings a code or a credential waits for room, in milliseconds. */
const WAITS_MS = 10_000;

/** Calls to providers that no connection is leased for: codes that are traded, credentials that are proven. */
@Injectable()
export class Exchanges {
  readonly #lines = new WaitingLines();

  constructor(
    private readonly pace: PaceStore,
    private readonly calls: CallsInFlight,
    private readonly health: ProviderHealth,
    private readonly clock: Clock,
  ) {}

  /**
   * Makes a call at the provider's pace; undefined where there was no room for it in time.
   *
   * @param purpose a code that anybody may bring, or what an operator offers
   * @param failureOf what the provider did not give
   */
  async run<T>(
    provider: TokenProvider,
    purpose: 'exchange' | 'proof',
    work: () => Promise<T>,
    failureOf: (result: T) => Failure | undefined,
  ): Promise<T | undefined> {
    const taken = await this.#takeRoom(provider, purpose);
    if (!taken) return undefined;
    try {
      const result = await work();
      // What came of it counts for more than what it tells of the provider.
      await this.health.keepExchange(provider, taken.room, failureOf(result)).catch(() => undefined);
      return result;
    } finally {
      this.pace.end(taken.begun, taken.room.pressed);
    }
  }

  async #takeRoom(
    provider: TokenProvider,
    purpose: 'exchange' | 'proof',
  ): Promise<{ room: Room; begun: BegunCalls } | undefined> {
    const until = this.clock.monotonic() + WAITS_MS;
    return this.#lines.join(`${provider.name} ${purpose}`, async () => {
      for (;;) {
        const leftMs = until - this.clock.monotonic();
        if (leftMs <= 0) return undefined;
        const { room, begun } = await this.pace.take(this.health.asking(provider), purpose);
        if (begun) return { room, begun };
        if (room.waitS * 1_000 > leftMs) return undefined;
        await this.calls.nextEnd(provider.name, room.waitS);
      }
    });
  }
}
