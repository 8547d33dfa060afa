import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { WebhookReceiver } from '../config/webhooks-file.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { DeliveryStore, type Delivery } from './delivery.store.js';
import type { Attempted } from './retry.js';
import { WebhookMetrics } from './webhook-metrics.js';
import { WebhookRequest } from './webhook-request.js';

const TICK_MS = 1_000;
/** The others are told this often that a receiver stands in this replica's file. */
const SEEN_EVERY_MS = 60_000;
/** Requests of a replica to one receiver at a time: one that hangs holds up no other. */
const AT_ONCE = 8;
/** What a stop gives those that are under way; what was not answered by then is another replica's to tell. */
const DRAIN_MS = 5_000;

/**
 * Tells receivers what has happened. Every replica that has some in its file ticks, and there is no leader: each takes what
 * it has room for and skips what another has taken. An idle tick costs two indexed looks.
 */
@Injectable()
export class WebhookDelivery implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Webhooks');
  readonly #running = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  /** Those of which the log says already that they take nothing. */
  readonly #failing = new Set<string>();
  #isNews = true;
  #registeredAt = -Infinity;
  #looking: Promise<void> | undefined;
  #again = false;
  #isAway = false;
  #stopped = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'webhooks'>,
    private readonly store: DeliveryStore,
    private readonly request: WebhookRequest,
    private readonly metrics: WebhookMetrics,
    private readonly clock: Clock,
  ) {}

  /** What happens from now on is told, so that they are made known before anything can; or as soon as the database is there. */
  async onApplicationBootstrap(): Promise<void> {
    this.settings.webhooks?.onChange((receivers) => {
      this.#isNews = true;
      this.#logger.log(`the file was read again: ${receivers.length} receivers`);
    });
    await this.tick();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopped = true;
    await this.#looking;
    const timer = setTimeout(() => this.#stop.abort(), DRAIN_MS);
    await Promise.all(this.#underWay);
    clearTimeout(timer);
  }

  /** One look at what is to be told. Looks never overlap: one that is asked for meanwhile follows right after. */
  @Interval(TICK_MS)
  async tick(): Promise<void> {
    if (this.#receivers.length === 0 && !this.#isNews) return;
    this.#again = true;
    this.#looking ??= this.#lookWhileAsked().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  get #receivers(): readonly WebhookReceiver[] {
    return this.settings.webhooks?.current ?? [];
  }

  async #lookWhileAsked(): Promise<void> {
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        await this.#look();
      }
      if (this.#isAway) this.#logger.log('events are told again');
      this.#isAway = false;
    } catch (error) {
      // Once for an outage, however long it lasts.
      if (!this.#isAway) this.#logger.warn(`events wait to be told: ${messageOf(error)}`);
      this.#isAway = true;
      if (!(error instanceof Problem)) throw error;
    }
  }

  async #look(): Promise<void> {
    await this.#register();
    if (this.#receivers.length === 0) return;
    while (await this.store.spread());
    const free = (name: string): number => AT_ONCE - (this.#running.get(name) ?? 0);
    const slots = new Map(this.#receivers.map(({ name }) => [name, free(name)]));
    for (const delivery of await this.store.take(slots)) this.#begin(delivery);
  }

  async #register(): Promise<void> {
    const now = this.clock.monotonic();
    if (!this.#isNews && now - this.#registeredAt < SEEN_EVERY_MS) return;
    const isNews = this.#isNews;
    this.#isNews = false;
    try {
      if (this.#receivers.length > 0) await this.store.register(this.#receivers, isNews);
    } catch (error) {
      this.#isNews ||= isNews;
      throw error;
    }
    this.#registeredAt = now;
    for (const { name } of this.#receivers) this.metrics.receiverConfigured(name);
  }

  #begin(delivery: Delivery): void {
    const { receiver: name } = delivery;
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1);
    const told = this.#deliver(delivery)
      .catch((error: unknown) => this.#logger.warn(`${name} ${delivery.id}: ${messageOf(error)}`))
      .finally(() => {
        this.#running.set(name, (this.#running.get(name) ?? 1) - 1);
        this.#underWay.delete(told);
        // There is room, and perhaps more of the same subject.
        void this.tick().catch(() => undefined);
      });
    this.#underWay.add(told);
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const receiver = this.#receivers.find(({ name }) => name === delivery.receiver);
    const attempted = receiver && (await this.request.send(receiver, delivery, this.#stop.signal));
    if (!attempted) return this.store.release(delivery);
    this.metrics.tried(delivery.receiver, attempted.error ?? 'delivered');
    this.#tell(delivery, attempted);
    if (!(await this.store.settle(delivery, attempted))) return;
    this.metrics.givenUp(delivery.receiver);
    this.#logger.error(
      `${delivery.receiver} ${delivery.id}: ${delivery.type} could not be told for three days (${attempted.error}), and is tried no more; it can be sent again`,
    );
  }

  /** Once for as long as it lasts. */
  #tell({ receiver, id }: Delivery, { error, status }: Attempted): void {
    const what = `${receiver} ${id}: ${error} (${status ?? 'no answer'})`;
    if (error === null) {
      if (this.#failing.delete(receiver)) this.#logger.log(`${receiver}: takes events again`);
    } else if (error === 'gone') {
      this.#logger.error(
        `${receiver}: has answered 410 and is told nothing more, until its address changes or it is resumed`,
      );
    } else if (this.#failing.has(receiver)) this.#logger.debug(what);
    else {
      this.#failing.add(receiver);
      this.#logger.warn(`${what}; tried again`);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
