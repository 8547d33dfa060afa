import { eventOf } from '../outbox/outbox.store.js';
import type { OutboxEvent } from '../outbox/outbox-event.js';
import { isInTrouble, type Connection } from './connection.js';

/** What others are told of a grant that came from outside; where they had been told of trouble, also that it is over. */
export function toldOfAdoption(now: Connection, former: Connection, created: boolean): OutboxEvent[] {
  const isOver = isInTrouble(former) && !isInTrouble(now);
  return [
    eventOf(created ? 'connection.created' : 'connection.replaced', now),
    ...(isOver ? [eventOf('connection.recovered', now)] : []),
  ];
}
