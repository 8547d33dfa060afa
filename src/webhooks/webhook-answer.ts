import { EVENT_TYPES } from '../shared/event-types.js';
import { Field, list, nullable, oneOf, text, time, uuid, whole, type Schema } from '../shared/schema.js';
import type { Receiver, SeenDelivery } from './receiver.store.js';

export const DELIVERY_STATES = ['waiting', 'delivered', 'dead'] as const;

const ANY_OBJECT: Schema = { type: 'object', examples: [{ connection_id: '…', provider: 'konnect' }] };

/** A receiver of events, without its address or its secret. */
export class ReceiverAnswer {
  @Field(text('ops.example')) readonly name!: string;
  @Field(list(oneOf(EVENT_TYPES), EVENT_TYPES[0])) readonly events!: readonly string[];
  @Field(
    oneOf(['ok', 'failing', 'disabled']),
    '`failing`: asked one thing at a time until it takes one. `disabled`: it has answered 410.',
  )
  readonly status!: 'ok' | 'failing' | 'disabled';
  @Field(whole(0), 'Events that it has not been told yet.') readonly waiting!: number;
  @Field(nullable(time(), true)) readonly oldest_waiting_since!: string | null;
  @Field(whole(0), 'Events that were given up, and can be sent again.') readonly dead!: number;
  @Field(whole(0)) readonly consecutive_failures!: number;
  @Field(nullable(time(), true), 'Nothing is sent to it before.') readonly closed_until!: string | null;
  @Field(nullable(text('timed_out'), true), "One of the broker's codes.") readonly last_error!: string | null;
  @Field(nullable(whole(503), true), 'Null where there was no answer.') readonly last_status!: number | null;
  @Field(nullable(time(), true)) readonly last_failed_at!: string | null;
  @Field(nullable(time())) readonly last_delivered_at!: string | null;
  @Field(time(), 'What happened before is not told to it.') readonly since!: string;
  @Field(time(), "When it last stood in a replica's file.") readonly seen_at!: string;
}

/** An event on its way to one receiver. */
export class DeliveryAnswer {
  @Field(uuid(), 'As in `webhook-id`.') readonly event_id!: string;
  @Field(oneOf(EVENT_TYPES)) readonly type!: string;
  @Field(time()) readonly timestamp!: string;
  @Field(ANY_OBJECT) readonly data!: Readonly<Record<string, unknown>>;
  @Field(oneOf(DELIVERY_STATES)) readonly state!: SeenDelivery['state'];
  @Field(whole(1)) readonly attempts!: number;
  @Field(nullable(time(), true)) readonly next_try_at!: string | null;
  @Field(nullable(text('refused'), true), "One of the broker's codes.") readonly last_error!: string | null;
  @Field(nullable(whole(500), true)) readonly last_status!: number | null;
  @Field(nullable(time()), 'When it was delivered, or given up.') readonly settled_at!: string | null;
}

export class ResentAnswer {
  @Field(whole(3), 'Events that are told again.') readonly resent!: number;
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

export function answerReceiver(receiver: Receiver): ReceiverAnswer {
  const { name, events, disabledAt, failures, waiting, dead } = receiver;
  return {
    name,
    events,
    status: disabledAt !== null ? 'disabled' : failures > 0 ? 'failing' : 'ok',
    waiting,
    oldest_waiting_since: iso(receiver.oldestWaitingSince),
    dead,
    consecutive_failures: failures,
    closed_until: iso(receiver.closedUntil),
    last_error: receiver.lastError,
    last_status: receiver.lastStatus,
    last_failed_at: iso(receiver.lastFailedAt),
    last_delivered_at: iso(receiver.lastDeliveredAt),
    since: receiver.since.toISOString(),
    seen_at: receiver.seenAt.toISOString(),
  };
}

export function answerDelivery(delivery: SeenDelivery): DeliveryAnswer {
  return {
    event_id: delivery.id,
    type: delivery.type,
    timestamp: delivery.at.toISOString(),
    data: delivery.content,
    state: delivery.state,
    attempts: delivery.attempts,
    next_try_at: iso(delivery.dueAt),
    last_error: delivery.lastError,
    last_status: delivery.lastStatus,
    settled_at: iso(delivery.settledAt),
  };
}
