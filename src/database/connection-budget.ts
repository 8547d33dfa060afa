import { Inject, Injectable, Logger } from '@nestjs/common';
import { Timeout } from '@nestjs/schedule';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Problem } from '../shared/problem.js';
import { isPooled } from './address.js';
import { PUBLIC_POOL_SIZE } from './data-source.js';
import { Database } from './database.js';
import { Notifications } from './notifications.js';

/** By then those who were started with this one have connected, too. */
const LOOK_AFTER_MS = 1_000;

/** How many connections there may be by each limit, and what brokers hold of them; a replica has just one that listens. */
export const ROOM = {
  text: `
    with brokers as (
      select datname, usename, application_name = 'token-broker listen' as listens from pg_stat_activity
      where application_name like 'token-broker%' and backend_type = 'client backend')
    select l.name, l.room, count(b.*)::int as held, (count(*) filter (where b.listens))::int as replicas
    from (
      select 'max_connections' as name, null::name as datname, null::name as usename,
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
          - coalesce(current_setting('reserved_connections', true)::int, 0) as room
      union all
      select 'the connection limit of the database', datname, null, datconnlimit
        from pg_database where datname = current_database() and datconnlimit >= 0
      union all
      select 'the connection limit of the role', null, rolname, rolconnlimit
        from pg_roles where rolname = session_user and rolconnlimit >= 0) l
    left join brokers b on (l.datname is null or b.datname = l.datname) and (l.usename is null or b.usename = l.usename)
    group by l.name, l.room order by l.room`,
};

export interface Room {
  readonly name: string;
  readonly room: number;
  readonly held: number;
  readonly replicas: number;
}

/** The most connections that a replica with these settings holds. */
export function roomNeeded({ database, publicPort }: Settings): number {
  return database.poolSize + (publicPort === null ? 0 : PUBLIC_POOL_SIZE) + (database.notifications ? 1 : 0);
}

/** Tells at the start how many connections this replica may hold, and whether there is room for them and for the others'. */
@Injectable()
export class ConnectionBudget {
  readonly #logger = new Logger('Connections');

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly database: Database,
    private readonly notifications: Notifications,
  ) {}

  @Timeout(LOOK_AFTER_MS)
  async tell(): Promise<void> {
    const { database, publicPort } = this.settings;
    const pools = database.poolSize + (publicPort === null ? 0 : PUBLIC_POOL_SIZE);
    const listening = database.notifications ? 1 : 0;
    if (isPooled(database)) {
      this.#logger.log(
        `up to ${pools} to the pooler and ${listening} to PostgreSQL; for how many replicas there is room is for the pooler's own limits to say`,
      );
      return;
    }
    try {
      this.#compare(await this.database.run<Room>(ROOM), pools + listening);
    } catch (error) {
      if (error instanceof Problem) return; // away, or it stops already
      this.#logger.warn(`for how many there is room could not be found out: ${String(error)}`);
    }
  }

  #compare(limits: readonly Room[], mine: number): void {
    const [least] = limits;
    if (!least) return;
    this.#logger.log(
      `up to ${mine}: ${Math.floor(least.room / mine)} such replicas fit under ${least.name} (${least.room})`,
    );
    const isListening = this.notifications.isLive() ? 1 : 0;
    for (const { name, room, held, replicas } of limits) {
      if (mine > room) {
        this.#logger.warn(
          `this replica alone may need ${mine}, and ${name} leaves ${room}: lower DATABASE_POOL`,
        );
        continue;
      }
      // They may open as many as this one, whatever they have open now.
      const others = Math.max(
        held - this.database.countOpen() - isListening,
        (replicas - isListening) * mine,
      );
      if (mine + others > room) {
        this.#logger.warn(
          `with ${others} of the others, ${mine + others} may be needed, and ${name} leaves ${room}: lower DATABASE_POOL`,
        );
      }
    }
  }
}
