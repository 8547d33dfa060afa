import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { ReplicaCaches, type ReplicaCache } from '../database/replica-cache.js';
import type { Session } from './browser-session.js';

/** Sessions that a replica remembers at the most. */
const MOST = 10_000;

/** Replicas' clocks may differ: a session is remembered to have ended for longer than it could have gone on. */
const END = {
  text: `with forgotten as (delete from ended_sessions where until < broker_now()),
           ended as (
             insert into ended_sessions (id, until) values ($1, $2::timestamptz + interval '1 hour')
             on conflict do nothing returning id)
         select ended.id, pg_notify('sessions', ended.id::text) from ended`,
  tells: 'sessions',
} as const;

const FIND = {
  name: 'session_has_ended',
  text: `select $1::uuid as id, exists (select from ended_sessions where id = $1) as "hasEnded"`,
};

/** The only SQL on `ended_sessions`: which sessions somebody has signed out of, known to every replica from then on. */
@Injectable()
export class EndedSessions {
  readonly #sessions: ReplicaCache<{ readonly id: string; readonly hasEnded: boolean }>;

  constructor(
    private readonly database: Database,
    caches: ReplicaCaches,
  ) {
    this.#sessions = caches.of('sessions', MOST);
  }

  /** Whether somebody has signed out of it, at whatever replica. Throws Problem `store_unavailable`. */
  async has({ id }: Session): Promise<boolean> {
    const found = await this.#sessions.find(id, async () => {
      const [row] = await this.database.run<{ id: string; hasEnded: boolean }>(FIND, [id]);
      return row;
    });
    return found?.entry.row.hasEnded ?? true;
  }

  /** No copy of it is good any more. Throws Problem `store_unavailable`. */
  async add({ id, until }: Session): Promise<void> {
    await this.database.run(END, [id, until]);
  }
}
