import { IsIn, IsOptional, IsUUID } from 'class-validator';
import { ListQuery } from '../http/list-query.js';
import { IsTime } from '../shared/is-time.js';
import { Field, uuid } from '../shared/schema.js';
import { DELIVERY_STATES } from './webhook-answer.js';
import type { SeenDelivery } from './receiver.store.js';

/** The query of the list of deliveries. */
export class DeliveryQuery extends ListQuery {
  @IsOptional()
  @IsIn(DELIVERY_STATES, { message: 'must be waiting, delivered or dead' })
  @Field({ examples: ['dead'] })
  state?: SeenDelivery['state'];
}

/** What is to be sent again; without either, all that was given up. */
export class ResendShape {
  @IsOptional()
  @IsUUID(undefined, { message: 'must be the id of an event' })
  @Field(uuid(), 'This event alone, also where it was delivered.')
  event_id?: string | null;

  @IsOptional()
  @IsTime('Of what was given up, the events since then.')
  since?: string | null;
}
