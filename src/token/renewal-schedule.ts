import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import { ConnectionStore } from './connection.store.js';
import { RenewalGate } from './renewal-gate.js';
import { TokenRenewer } from './token-renewer.js';

const TICK_MS = 1_000;
/** What an orderly stop gives the renewals that are running, unless it is told otherwise. */
const DRAIN_MS = 25_000;

/**
 * Renews what is due. Every replica ticks and there is no leader: each claims what it has free slots for and skips what
 * another has locked. An idle tick costs one indexed probe a provider.
 */
@Injectable()
export class RenewalSchedule {
  readonly #logger = new Logger('Schedule');
  #ticking: Promise<void> | undefined;
  #again = false;
  #isFailing = false;
  #stopped = false;

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly gate: RenewalGate,
    private readonly store: ConnectionStore,
    private readonly renewer: TokenRenewer,
    private readonly clock: Clock,
  ) {}

  /** One look at the calendar. Ticks never overlap: one that is asked for meanwhile runs right after. */
  @Interval(TICK_MS)
  async tick(): Promise<void> {
    if (this.#ticking) {
      this.#again = true;
      return;
    }
    this.#ticking = this.#look();
    await this.#ticking;
    this.#ticking = undefined;
  }

  /**
   * Takes nothing more, and waits until `until` (monotonic) for what is running: an answer that is under way may have
   * spent a refresh token.
   */
  async stop(until = this.clock.monotonic() + DRAIN_MS): Promise<void> {
    this.#stopped = true;
    await this.#ticking;
    const left = await this.renewer.drain(until);
    if (left > 0) this.#logger.error(`${left} renewals were still running when the time to stop was up`);
  }

  async #look(): Promise<void> {
    try {
      do {
        this.#again = false;
        for (const provider of this.registry.all()) {
          if (!this.#stopped) await this.#claimFor(provider);
        }
      } while (this.#again && !this.#stopped);
      if (this.#isFailing) this.#logger.log('the calendar is looked at again');
      this.#isFailing = false;
    } catch (error) {
      // Once for an outage, however long it lasts.
      if (!this.#isFailing) this.#logger.warn(`the calendar cannot be looked at: ${messageOf(error)}`);
      this.#isFailing = true;
    }
  }

  async #claimFor(provider: TokenProvider): Promise<void> {
    if (!provider.renews) return this.#endLapsed(provider);
    const slots = provider.settings.concurrency - this.renewer.countRunning(provider);
    if (slots <= 0) return;
    const gate = await this.gate.of(provider.name);
    if (gate.kind === 'closed' || this.#stopped) return;
    const claimedAt = this.clock.monotonic();
    const claimed = gate.isProbe
      ? await this.store.claimAnyDue(provider.name, gate.leaseS)
      : await this.store.claimDue(provider.name, gate.leaseS, slots);
    // A full hand means that there is more: whoever is done first looks for it at once.
    const goOn = claimed.length === slots ? (): void => void this.tick() : (): void => undefined;
    for (const connection of claimed) {
      this.renewer.run({ claimed: connection, claimedAt, state: gate.state }).then(goOn, goOn);
    }
  }

  async #endLapsed(provider: TokenProvider): Promise<void> {
    for (const { id } of await this.store.lapse(provider.name)) {
      this.#logger.warn(`${provider.name} ${id}: has expired, and only a person can replace it`);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
