import { eventOf } from '../outbox/outbox.store.js';
import type { OutboxEvent } from '../outbox/outbox-event.js';
import type { Connection, ConnectionStatus } from './connection.js';

/** What others are told of a grant that came from outside; where they had been told of trouble, also that it is over. */
export function toldOfAdoption(now: Connection, former: ConnectionStatus, created: boolean): OutboxEvent[] {
  const wasInTrouble = former === 'suspect' || former === 'reauthorization_required';
  return [
    eventOf(created ? 'connection.created' : 'connection.replaced', now),
    ...(wasInTrouble && now.status === 'active' ? [eventOf('connection.recovered', now)] : []),
  ];
}

/** One that goes on is suspected as it was before it was paused; of what was reported, others have been told then. */
export function toldOfResumption(now: Connection): OutboxEvent[] {
  return now.status === 'suspect' && now.statusReason !== 'reported'
    ? [eventOf('connection.suspect', now)]
    : [];
}
