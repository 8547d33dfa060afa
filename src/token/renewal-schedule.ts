import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { Clock } from '../shared/clock.js';
import { ConnectionStore } from './connection.store.js';
import { bucketsOf } from './pace.js';
import { RenewalClaims } from './renewal-claims.js';
import { TokenRenewer } from './token-renewer.js';

const TICK_MS = 1_000;
/** What an orderly stop gives the renewals that are running, unless it is told otherwise. */
const DRAIN_MS = 25_000;

/** Claims and calls go on while others are written down; no faster than that goes. In proportion to the calls at a time. */
const MOST_UNWRITTEN = 2;

/** Free slots are filled once they are this part of those in use. */
const SHARE_TO_CLAIM = 4;

/** The looks at one provider. */
interface Look {
  running: Promise<void> | undefined;
  again: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Renews what is due. Every replica ticks and there is no leader: each claims what it has free slots for and skips what
 * another has locked. An idle tick costs one indexed probe a provider.
 */
@Injectable()
export class RenewalSchedule {
  readonly #logger = new Logger('Schedule');
  readonly #looks = new Map<string, Look>();
  #isFailing = false;
  #stopped = false;

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly claims: RenewalClaims,
    private readonly store: ConnectionStore,
    private readonly renewer: TokenRenewer,
    private readonly clock: Clock,
  ) {}

  /** One look at the calendar. Looks at one provider never overlap: one that is asked for meanwhile follows right after. */
  @Interval(TICK_MS)
  async tick(): Promise<void> {
    const looks = this.registry.all().map((provider) => this.#lookAt(provider));
    const failed = (await Promise.allSettled(looks)).find((look) => look.status === 'rejected');
    if (failed) {
      // Once for an outage, however long it lasts.
      if (!this.#isFailing)
        this.#logger.warn(`the calendar cannot be looked at: ${messageOf(failed.reason)}`);
      this.#isFailing = true;
    } else if (this.#isFailing) {
      this.#logger.log('the calendar is looked at again');
      this.#isFailing = false;
    }
  }

  /**
   * Takes nothing more, and waits until `until` (monotonic) for what is running: an answer that is under way may have
   * spent a refresh token.
   */
  async stop(until = this.clock.monotonic() + DRAIN_MS): Promise<void> {
    this.#stopped = true;
    for (const { timer } of this.#looks.values()) clearTimeout(timer);
    await Promise.allSettled([...this.#looks.values()].map(async ({ running }) => running));
    const left = await this.renewer.drain(until);
    if (left > 0) this.#logger.error(`${left} renewals were still running when the time to stop was up`);
  }

  async #lookAt(provider: TokenProvider): Promise<void> {
    const look: Look = this.#looks.get(provider.name) ?? {
      running: undefined,
      again: false,
      timer: undefined,
    };
    this.#looks.set(provider.name, look);
    if (look.running) {
      look.again = true;
      return look.running;
    }
    clearTimeout(look.timer);
    look.running = this.#look(provider, look).finally(() => (look.running = undefined));
    return look.running;
  }

  async #look(provider: TokenProvider, look: Look): Promise<void> {
    do {
      look.again = false;
      if (this.#stopped) return;
      if (provider.renews) await this.#claimFor(provider, look);
      else await this.#endLapsed(provider);
    } while (look.again);
  }

  async #claimFor(provider: TokenProvider, look: Look): Promise<void> {
    const { concurrency } = provider.settings;
    const running = this.renewer.countRunning(provider);
    const slots = Math.min(
      concurrency - this.renewer.countOut(provider),
      MOST_UNWRITTEN * concurrency - running,
    );
    // Claiming one at a time would cost as much as renewing it.
    if (slots < Math.max(1, Math.min(concurrency, running) / SHARE_TO_CLAIM)) return;
    const askedAt = this.clock.monotonic();
    const { claims, room } = await this.claims.due(provider, slots);
    if (this.#stopped) {
      await Promise.all(claims.map((claim) => this.renewer.giveBack(claim)));
      return;
    }
    // All that there was room for was due, so that there is more.
    const isMore = room !== undefined && claims.length >= Math.min(slots, room.calls);
    const goOn = (): void => void (isMore && this.#lookAt(provider).catch(() => undefined));
    // Where slots are what is scarce, whoever is done looks for more at once. The bucket fills by itself: to ask it for each
    // call that it gives would cost the database more than the renewals.
    const isPaced = claims.length < slots;
    const next = isPaced ? (): void => undefined : goOn;
    for (const claim of claims) this.renewer.run(claim).then(next, next);
    if (!isMore || !isPaced || room.closed !== null) return;
    const { depth, perSecond } = bucketsOf(provider.settings).ordinary;
    const worthIt = askedAt + (1_000 * Math.max(1, Math.min(slots, depth) / 2)) / perSecond;
    const waitMs = Math.max(1, claims.length > 0 ? worthIt - this.clock.monotonic() : room.waitS * 1_000);
    if (waitMs < TICK_MS) look.timer = setTimeout(goOn, waitMs);
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
