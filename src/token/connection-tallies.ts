import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { Database } from '../database/database.js';
import { STATUSES, type ConnectionStatus } from './connection.js';

export type StatusCounts = Readonly<Record<ConnectionStatus, number>>;

/** Of a provider that never had one. */
export const NO_CONNECTIONS: StatusCounts = {
  active: 0,
  suspect: 0,
  reauthorization_required: 0,
  paused: 0,
  revoked: 0,
};

/** Milliseconds between two sums: what was added since is read with every question. */
const SUM_UP_EVERY_MS = 60_000;
/** Sums are a row for each provider and status; a few additions more cost a reader nothing. */
const MANY_ROWS = 200;

const TALLY = {
  name: 'connections_tally',
  text: `select provider, status, sum(added)::double precision as total from connection_tallies group by provider, status`,
};

/** A row is taken by one of those who sum up at once, and by no other; a reader sees what was there before or after. */
const SUM_UP = {
  text: `with taken as (
           delete from connection_tallies where (select count(*) from connection_tallies) > $1
           returning provider, status, added)
         insert into connection_tallies
         select provider, status, sum(added) from taken group by provider, status having sum(added) <> 0`,
};

/**
 * How many connections each provider has in each status: exact, and answered at once however many there are, since the
 * table itself writes down what changes (its migration says how).
 */
@Injectable()
export class ConnectionTallies implements OnApplicationBootstrap {
  constructor(private readonly database: Database) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.tick();
  }

  /** A failure leaves more to be summed up the next time. */
  @Interval(SUM_UP_EVERY_MS)
  async tick(): Promise<void> {
    await this.database.run(SUM_UP, [MANY_ROWS]).catch(() => undefined);
  }

  /** By provider; those that have or had any. */
  async count(): Promise<Map<string, StatusCounts>> {
    const rows = await this.database.run<{ provider: string; status: ConnectionStatus; total: number }>(
      TALLY,
    );
    const providers = new Set(rows.map(({ provider }) => provider));
    return new Map(
      [...providers].map((name) => {
        const own = rows.filter(({ provider }) => provider === name);
        const totals = STATUSES.map((it) => [it, own.find(({ status }) => status === it)?.total ?? 0]);
        return [name, Object.fromEntries(totals) as StatusCounts];
      }),
    );
  }
}
