import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock } from '../shared/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { SparingLookup } from '../token/sparing-lookup.js';
import { ReceiverStore } from './receiver.store.js';
import { WebhookMetrics, type OutboxStanding } from './webhook-metrics.js';

/** Milliseconds that a scrape waits for the database; what comes later is told to the next one. */
const SCRAPE_WAITS_MS = 1_000;
/** Costs a few indexed rows; of a receiver that has been away for days, all that waits for it. */
const STANDING = { everyMs: 2_000, share: 0.1, atLeastEveryMs: 60_000, keptMs: 60_000 };

/** Gauges of what waits to be told, looked up when somebody scrapes; the same at every replica. */
@Injectable()
export class WebhookGauges implements OnApplicationBootstrap {
  readonly #standing: SparingLookup<OutboxStanding>;

  constructor(
    private readonly receivers: ReceiverStore,
    private readonly all: Metrics,
    private readonly metrics: WebhookMetrics,
    clock: Clock,
  ) {
    this.#standing = new SparingLookup(() => this.#look(), STANDING, clock);
  }

  onApplicationBootstrap(): void {
    this.all.lookUpBy(async () => this.metrics.lookedUp(await this.#standing.latest(SCRAPE_WAITS_MS)));
  }

  async #look(): Promise<OutboxStanding> {
    const [unspread, receivers] = await Promise.all([this.receivers.countUnspread(), this.receivers.list()]);
    const standings = receivers.map(
      ({ name, waiting, oldestWaitingS, dead, disabledAt }) =>
        [name, { waiting, oldestWaitingS, dead, disabled: disabledAt !== null }] as const,
    );
    return { unspread, receivers: new Map(standings) };
  }
}
