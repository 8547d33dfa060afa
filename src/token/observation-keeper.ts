import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { ProviderObservations } from '../provider/observations.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Clock } from '../shared/clock.js';
import { ProviderHealth } from './provider-health.js';
import { ProviderStateStore } from './provider-state.store.js';

/** Milliseconds between two writes: a row per provider that all replicas share takes no more. */
const WRITE_MS = 2_000;
/** What a stop waits for the last write; what it loses is seen again. */
const LAST_WRITE_MS = 2_000;

/**
 * Writes down what was seen of the providers: at most every 2 s, once per provider that has news, however many renewals
 * brought them. And notes since when the client secrets in force are in use.
 */
@Injectable()
export class ObservationKeeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Providers');
  /** Fingerprints of the client credentials that this process has noted, by provider. */
  readonly #noted = new Map<string, string>();
  #writing: Promise<unknown> = Promise.resolve();
  #isTicking = false;
  #isFailing = false;
  #stopped = false;

  constructor(
    private readonly observations: ProviderObservations,
    private readonly registry: ProviderRegistry,
    private readonly states: ProviderStateStore,
    private readonly health: ProviderHealth,
    private readonly clock: Clock,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.tick();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    const last = this.#writeNews().catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([last, new Promise((resolve) => (timer = setTimeout(resolve, LAST_WRITE_MS)))]);
    clearTimeout(timer);
  }

  /** One round. An error is told once for as long as it lasts, and the news are kept for the next round. */
  @Interval(WRITE_MS)
  async tick(): Promise<void> {
    // A frozen database holds a round for longer than the time until the next.
    if (this.#stopped || this.#isTicking) return;
    this.#isTicking = true;
    try {
      await this.write();
      this.#isFailing = false;
    } catch (error) {
      const why = error instanceof Error ? error.message : 'unknown error';
      if (!this.#isFailing) this.#logger.warn(`what was seen of the providers waits to be written: ${why}`);
      this.#isFailing = true;
    } finally {
      this.#isTicking = false;
    }
  }

  /** Writes what is new now, for an operator who looks. Throws Problem `store_unavailable`. */
  async write(): Promise<void> {
    await this.#noteCredentials();
    await this.#writeNews();
  }

  /** Also waits for a round that has taken its news already and is still writing. */
  async #writeNews(): Promise<void> {
    const before = this.#writing.catch(() => undefined);
    const round = Promise.all([this.#writeRound(), before]);
    this.#writing = round;
    await round;
  }

  async #writeRound(): Promise<void> {
    const news = this.observations.take();
    const counts = this.observations.takeCounts();
    try {
      for (let next = counts[0]; next; next = counts[0]) {
        await this.states.count(next);
        counts.shift();
      }
      for (let next = news[0]; next; next = news[0]) {
        await this.states.observe(next, this.clock.monotonic());
        news.shift();
      }
    } finally {
      for (const unwritten of news) this.observations.giveBack(unwritten);
      for (const unwritten of counts) this.observations.giveBackCount(unwritten);
    }
  }

  /** A secret changes with its file, which tells nobody here: comparing fingerprints costs microseconds. */
  async #noteCredentials(): Promise<void> {
    if (this.#noted.size === 0) await this.states.ensure(this.registry.all().map(({ name }) => name));
    for (const provider of this.registry.all()) {
      if (!provider.hasClientSecret) continue;
      const fingerprint = this.health.credentialsFingerprint(provider);
      if (this.#noted.get(provider.name) === fingerprint) continue;
      await this.states.seeCredentials(provider.name, fingerprint);
      this.#noted.set(provider.name, fingerprint);
    }
  }
}
