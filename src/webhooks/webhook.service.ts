import { Injectable, Logger } from '@nestjs/common';
import type { Caller } from '../http/caller.js';
import { readCursor, writeCursor } from '../http/cursor.js';
import { DEFAULT_LIMIT } from '../http/list-query.js';
import { Problem } from '../shared/problem.js';
import { ReceiverStore } from './receiver.store.js';
import {
  answerDelivery,
  answerReceiver,
  type DeliveryAnswer,
  type ReceiverAnswer,
} from './webhook-answer.js';
import type { DeliveryQuery, ResendShape } from './webhook-query.js';

/** What operators see of receivers, and do with them. All but `list` throw Problem `not_found` where there is none of the name. */
@Injectable()
export class WebhookService {
  readonly #logger = new Logger('Webhooks');

  constructor(private readonly receivers: ReceiverStore) {}

  async list(): Promise<ReceiverAnswer[]> {
    return (await this.receivers.list()).map(answerReceiver);
  }

  /** A page, newest first. */
  async deliveries(
    name: string,
    { state, cursor, limit = DEFAULT_LIMIT }: DeliveryQuery,
  ): Promise<{ items: DeliveryAnswer[]; next_cursor: string | null }> {
    const afterId = cursor === undefined ? null : readCursor(cursor);
    await this.#find(name);
    const found = await this.receivers.deliveries(name, state ?? null, afterId, limit + 1);
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return {
      items: page.map(answerDelivery),
      next_cursor: found.length > limit && last ? writeCursor(last.id) : null,
    };
  }

  /** Again is no error. */
  async resume(name: string, caller: Caller): Promise<ReceiverAnswer> {
    if (!(await this.receivers.resume(name, caller))) throw notFound();
    this.#logger.log(`${name}: is told events again, by ${caller.id}`);
    return this.#find(name);
  }

  /** How many events are told again; a receiver that had answered 410 is told everything again, too. */
  async resend(name: string, { event_id: eventId, since }: ResendShape, caller: Caller): Promise<number> {
    const which = { eventId: eventId ?? null, since: since ? new Date(since) : null };
    const resent = await this.receivers.resend(name, which, caller);
    if (resent === undefined) throw notFound();
    this.#logger.log(`${name}: ${resent} events are sent again, by ${caller.id}`);
    return resent;
  }

  async #find(name: string): Promise<ReceiverAnswer> {
    const receiver = await this.receivers.find(name);
    if (!receiver) throw notFound();
    return answerReceiver(receiver);
  }
}

function notFound(): Problem {
  return new Problem(
    'not_found',
    'No receiver of this name stands in WEBHOOKS_FILE; GET /v1/webhooks lists them.',
  );
}
