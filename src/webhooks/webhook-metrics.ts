import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Metrics } from '../telemetry/metrics.js';
import type { DeliveryError } from './retry.js';

export type DeliveryOutcome = 'delivered' | DeliveryError;

/** How a receiver stands. */
export interface ReceiverStanding {
  readonly waiting: number;
  /** Seconds; 0 where nothing waits. */
  readonly oldestWaitingS: number;
  readonly dead: number;
  readonly disabled: boolean;
}

/** What waits to be told. */
export interface OutboxStanding {
  /** Events of which it is not known yet whom they are for. */
  readonly unspread: number;
  readonly receivers: ReadonlyMap<string, ReceiverStanding>;
}

/** What is counted of webhooks: labels are the names of receivers, of which there are few, and a closed set of outcomes. */
@Injectable()
export class WebhookMetrics {
  readonly #outbox = new Gauge({
    name: 'token_broker_outbox_waiting',
    help: 'Events of which it is not yet known whom they are for; those of 30 days where there is no receiver',
    registers: [],
  });

  readonly #deliveries = new Counter({
    name: 'token_broker_webhook_deliveries_total',
    help: 'Tries to tell an event, by receiver and outcome',
    labelNames: ['receiver', 'outcome'],
    registers: [],
  });

  readonly #givenUp = new Counter({
    name: 'token_broker_webhook_dead_letters_total',
    help: 'Events that a receiver was not told within three days, and that are tried no more, by receiver',
    labelNames: ['receiver'],
    registers: [],
  });

  readonly #waiting = new Gauge({
    name: 'token_broker_webhook_waiting',
    help: 'Events that a receiver has not been told yet',
    labelNames: ['receiver'],
    registers: [],
  });

  readonly #oldest = new Gauge({
    name: 'token_broker_webhook_oldest_waiting_seconds',
    help: 'How long the oldest of those has waited, by receiver; 0 where none does',
    labelNames: ['receiver'],
    registers: [],
  });

  readonly #dead = new Gauge({
    name: 'token_broker_webhook_dead',
    help: 'Events that were given up and can be sent again, by receiver',
    labelNames: ['receiver'],
    registers: [],
  });

  readonly #disabled = new Gauge({
    name: 'token_broker_webhook_disabled',
    help: 'Whether a receiver has answered 410 and is told nothing more, by receiver',
    labelNames: ['receiver'],
    registers: [],
  });

  constructor(metrics: Metrics) {
    for (const metric of [this.#outbox, this.#deliveries, this.#givenUp, ...this.#gauges])
      metrics.registry.registerMetric(metric);
  }

  /** What is counted of it begins at 0, or the first would be seen by no `increase()`. */
  receiverConfigured(receiver: string): void {
    this.#deliveries.inc({ receiver, outcome: 'delivered' }, 0);
    this.#givenUp.inc({ receiver }, 0);
  }

  tried(receiver: string, outcome: DeliveryOutcome): void {
    this.#deliveries.inc({ receiver, outcome });
  }

  givenUp(receiver: string): void {
    this.#givenUp.inc({ receiver });
  }

  /** What was looked up; undefined: nothing is known, and nothing told. */
  lookedUp(standing: OutboxStanding | undefined): void {
    for (const gauge of [this.#outbox, ...this.#gauges]) gauge.reset();
    if (!standing) return this.#outbox.remove();
    this.#outbox.set(standing.unspread);
    for (const [receiver, { waiting, oldestWaitingS, dead, disabled }] of standing.receivers) {
      this.#waiting.set({ receiver }, waiting);
      this.#oldest.set({ receiver }, oldestWaitingS);
      this.#dead.set({ receiver }, dead);
      this.#disabled.set({ receiver }, Number(disabled));
    }
  }

  get #gauges(): readonly Gauge[] {
    return [this.#waiting, this.#oldest, this.#dead, this.#disabled];
  }
}
