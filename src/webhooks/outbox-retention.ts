import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { Outbox } from '../outbox/outbox.store.js';
import { Problem } from '../shared/problem.js';
import { DeliveryStore } from './delivery.store.js';

/** How long an event is kept, whoever was told of it or not, in seconds: 30 days. */
const KEPT_S = 30 * 86_400;
const LOOK_MS = 3_600_000;

/**
 * Forgets what is of no use any more: old events, with all that became of them, and receivers that stand in no file. The
 * first look comes an hour after the start: by then all replicas have said which receivers there are.
 */
@Injectable()
export class OutboxRetention {
  readonly #logger = new Logger('Webhooks');

  constructor(
    private readonly outbox: Outbox,
    private readonly deliveries: DeliveryStore,
  ) {}

  @Interval(LOOK_MS)
  async forget(): Promise<void> {
    try {
      await this.deliveries.forgetReceivers();
      for (;;) if ((await this.outbox.forget(KEPT_S)) === 0) return;
    } catch (error) {
      // In an hour again.
      if (!(error instanceof Problem)) throw error;
      this.#logger.warn(`old events wait to be forgotten: ${error.message}`);
    }
  }
}
