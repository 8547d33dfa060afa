import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import type { Backlog } from '../telemetry/standing-metrics.js';
import { ROTATION_DUE_S, type Connection } from './connection.js';
import { ConnectionCensus } from './connection-census.js';
import { columns, seconds } from './connection-row.sql.js';
import { ConnectionTallies, type StatusCounts } from './connection-tallies.js';

/** Hours that are looked back and ahead. */
export const HOURS = 24;
/** With so many connections all are counted; of more, about so many are, and stand for the others. */
const MOST_COUNTED = 50_000;
/** Connections that wait for a person, at most so many of each kind. */
const MOST_OF_A_KIND = 20;
/** Nothing renews it, and it ends within so many seconds: a week. */
const LAPSING_S = 604_800;

/** One hour, and what ends or came to pass in it. */
export interface Hour {
  readonly from: Date;
  readonly count: number;
}

export interface RenewedHour {
  readonly from: Date;
  readonly renewed: number;
  readonly failed: number;
}

/** What kind of trouble it is; in this order it takes a person. */
export const TROUBLES = ['dead', 'suspect', 'rotation_overdue', 'lapsing', 'rotation_due'] as const;

export type Trouble = (typeof TROUBLES)[number];

export interface TroubledConnection extends Connection {
  readonly trouble: Trouble;
}

export interface Outlook {
  readonly tallies: ReadonlyMap<string, StatusCounts>;
  readonly backlogs: ReadonlyMap<string, Backlog>;
  /** What ends in each of the next 24 hours, this one first; of very many connections told by a sample of them. */
  readonly expiries: { readonly hours: readonly Hour[]; readonly isEstimated: boolean };
  /** What the renewals of each of the last 24 hours came to, this one last. */
  readonly renewals: readonly RenewedHour[];
  readonly troubled: readonly TroubledConnection[];
}

/** $1 how many per cent of the table's pages are read. */
const EXPIRIES = {
  text: `with looked as (
           select date_trunc('hour', c.expires_at) as hour, count(*) as count
           from connections c tablesample system ($1) where c.status <> 'revoked' group by 1)
         select h.hour as "from", coalesce(l.count, 0)::double precision as count,
           (select coalesce(sum(count), 0) from looked)::double precision as "lookedAt"
         from generate_series(date_trunc('hour', broker_now()),
           date_trunc('hour', broker_now()) + make_interval(hours => ${HOURS - 1}), interval '1 hour') as h (hour)
         left join looked l on l.hour = h.hour
         order by h.hour`,
};

const RENEWALS = {
  text: `select h.hour as "from", coalesce(sum(r.renewed), 0)::double precision as renewed,
           coalesce(sum(r.failed), 0)::double precision as failed
         from generate_series(date_trunc('hour', broker_now()) - make_interval(hours => ${HOURS - 1}),
           date_trunc('hour', broker_now()), interval '1 hour') as h (hour)
         left join renewals_by_hour r on r.hour = h.hour
         group by h.hour order by h.hour`,
};

const one = (trouble: Trouble, condition: string, order: string): string => `
  (select '${trouble}' as trouble, ${columns('c')} from connections c where ${condition} order by ${order} limit ${MOST_OF_A_KIND})`;

const MADE_BY_HAND = `c.rotate_by is not null and c.status <> 'revoked'`;

/** Each kind from an index of its own, so that it takes the same however many connections there are. */
const TROUBLED = {
  text: [
    one('dead', `c.status = 'reauthorization_required'`, 'c.id'),
    one('suspect', `c.status = 'suspect'`, 'c.id'),
    one('rotation_overdue', `${MADE_BY_HAND} and c.rotate_by <= broker_now()`, 'c.rotate_by'),
    `(select 'lapsing' as trouble, ${columns('c')} from unnest($2::text[]) as p (provider)
       cross join lateral (
         select l.* from connections l
         where l.provider = p.provider and l.sealed_grant is null and l.expires_at is not null
           and l.status in ('active', 'suspect') and l.expires_at <= broker_now() + ${seconds('$3')}
         order by l.expires_at limit ${MOST_OF_A_KIND}) c)`,
    one(
      'rotation_due',
      `${MADE_BY_HAND} and c.rotate_by > broker_now() and c.rotate_by <= broker_now() + ${seconds('$1')}`,
      'c.rotate_by',
    ),
  ].join(' union all '),
};

/** What lies ahead of the connections, what lies behind, and which of them wait for a person. */
@Injectable()
export class ConnectionOutlook {
  constructor(
    private readonly database: Database,
    private readonly tallies: ConnectionTallies,
    private readonly census: ConnectionCensus,
  ) {}

  /** All of it at once, of these providers. */
  async look(providers: readonly string[]): Promise<Outlook> {
    const tallies = await this.tallies.count();
    const total = [...tallies.values()].reduce((sum, it) => sum + totalOf(it), 0);
    const revoked = [...tallies.values()].reduce((sum, it) => sum + it.revoked, 0);
    const [backlogs, expiries, renewals, troubled] = await Promise.all([
      this.census.backlogsOf(providers),
      this.#expiries(total, total - revoked),
      this.database.run<RenewedHour>(RENEWALS),
      this.#troubled(providers),
    ]);
    return { tallies, backlogs, expiries, renewals, troubled };
  }

  async #expiries(total: number, inForce: number): Promise<{ hours: Hour[]; isEstimated: boolean }> {
    const isEstimated = total > MOST_COUNTED;
    const rows = await this.database.run<Hour & { lookedAt: number }>(EXPIRIES, [
      isEstimated ? (100 * MOST_COUNTED) / total : 100,
    ]);
    const weight = isEstimated && rows[0] ? inForce / Math.max(1, rows[0].lookedAt) : 1;
    return {
      hours: rows.map(({ from, count }) => ({ from, count: Math.round(count * weight) })),
      isEstimated,
    };
  }

  /** Those that wait for a person, some of each kind; of one that is troubled in several ways what weighs most. */
  async #troubled(providers: readonly string[]): Promise<TroubledConnection[]> {
    const rows = await this.database.run<TroubledConnection>(TROUBLED, [
      ROTATION_DUE_S,
      providers,
      LAPSING_S,
    ]);
    const first = new Map<string, TroubledConnection>();
    for (const row of [...rows].sort((one, other) => weightOf(one) - weightOf(other)))
      if (!first.has(row.id)) first.set(row.id, row);
    return [...first.values()];
  }
}

function totalOf(counts: StatusCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function weightOf({ trouble }: TroubledConnection): number {
  return TROUBLES.indexOf(trouble);
}
