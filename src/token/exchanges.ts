import { Injectable } from '@nestjs/common';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Failure } from '../provider/verdict.js';
import { Clock } from '../shared/clock.js';
import { CallsInFlight } from './calls-in-flight.js';
import { PaceStore } from './pace.store.js';
import { ProviderHealth } from './provider-health.js';

/** How long somebody who brings a code or a credential waits for room, in milliseconds. */
const WAITS_MS = 5_000;

/** Calls to providers that no connection is leased for: codes that are traded, credentials that are proven. */
@Injectable()
export class Exchanges {
  constructor(
    private readonly pace: PaceStore,
    private readonly calls: CallsInFlight,
    private readonly health: ProviderHealth,
    private readonly clock: Clock,
  ) {}

  /**
   * Makes a call at the provider's pace; undefined where there was no room for it in time.
   *
   * @param failureOf what the provider did not give
   */
  async run<T>(
    provider: TokenProvider,
    work: () => Promise<T>,
    failureOf: (result: T) => Failure | undefined,
  ): Promise<T | undefined> {
    const until = this.clock.monotonic() + WAITS_MS;
    for (;;) {
      const { room, begun } = await this.pace.takeForExchange(this.health.asking(provider));
      if (begun) {
        try {
          const result = await work();
          // What came of it counts for more than what it tells of the provider.
          await this.health.keepExchange(provider, room, failureOf(result)).catch(() => undefined);
          return result;
        } finally {
          this.calls.end(begun);
        }
      }
      const leftMs = until - this.clock.monotonic();
      if (leftMs <= 0 || room.waitS * 1_000 > leftMs) return undefined;
      await this.calls.nextEnd(provider.name, room.waitS);
    }
  }
}
