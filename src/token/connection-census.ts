import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import type { Backlog, Expiring } from '../telemetry/standing-metrics.js';
import { STATUSES, type ConnectionStatus } from './connection.js';
import { ConnectionTallies, NO_CONNECTIONS } from './connection-tallies.js';

/** How many connections a provider has in each status, and how many of them wait for a renewal that is due. */
export interface Tally {
  readonly connections: Readonly<Record<ConnectionStatus, number>>;
  readonly backlog: number;
  /** Secrets made by hand that should have been replaced by now. */
  readonly secretsOverdue: number;
}

/** One pass over the table for all providers; bigint counts are taken as numbers, which hold up to 2^53. */
const COUNT = {
  text: `select provider, status, count(*)::double precision as total,
           count(*) filter (where renew_at <= broker_now() and sealed_grant is not null
                              and status not in ('paused', 'revoked'))::double precision as due,
           count(*) filter (where rotate_by <= broker_now() and status <> 'revoked')::double precision as overdue
         from connections where provider = any($1::text[]) group by provider, status`,
};

/** A backlog is counted up to here; how much longer it is tells nobody more than that it is. */
export const MOST_COUNTED = 50_000;

/**
 * What is due, of each provider: answered from the index of the calendar alone. 100 rows cost a millisecond, 50,000 of each of three
 * providers 10 ms, and 0.8 s at worst, where all of them were written since the last vacuum and none is in memory. A row
 * without a grant, paused or revoked has no `renew_at`, and one that is being renewed has one to come, so that nothing else needs
 * to be looked at.
 */
const BACKLOG = {
  name: 'connections_backlog',
  text: `select p.provider, d.due, coalesce(extract(epoch from broker_now() - d.oldest), 0)::float8 as "oldestOverdueS"
         from unnest($1::text[]) as p (provider)
         cross join lateral (
           select count(*)::float8 as due, min(renew_at) as oldest from (
             select c.renew_at from connections c where c.provider = p.provider and c.renew_at <= broker_now()
             order by c.renew_at limit ${MOST_COUNTED} + 1) as first) as d`,
};

/** What is due, as the calendar claims it: looks at each row, and at no more of them than are counted. */
const DUE = {
  name: 'connections_due',
  text: `select p.provider, d.due
         from unnest($1::text[]) as p (provider)
         cross join lateral (
           select count(*)::float8 as due from (
             select 1 from connections c
             where c.provider = p.provider and c.renew_at <= broker_now() and c.sealed_grant is not null
               and c.status not in ('paused', 'revoked')
             order by c.renew_at limit ${MOST_COUNTED} + 1) as first) as d`,
};

/**
 * What is about to expire, of each provider, by the index of deadlines: the first living token, and of what has expired or will
 * within ten minutes, how many fail. Those stand first, so that a limit leaves out none but what is well.
 */
const EXPIRING = {
  name: 'connections_expiring',
  text: `select p.provider, extract(epoch from s.soonest - broker_now())::float8 as "soonestS", f.failing
         from unnest($1::text[]) as p (provider)
         left join lateral (
           select c.expires_at as soonest from connections c
           where c.provider = p.provider and c.renew_at is not null and c.expires_at > broker_now()
           order by c.expires_at limit 1) as s on true
         cross join lateral (
           select count(*) filter (where consecutive_failures > 0 and status in ('active', 'suspect'))::float8 as failing
           from (
             select c.consecutive_failures, c.status from connections c
             where c.provider = p.provider and c.renew_at is not null
               and c.expires_at <= broker_now() + interval '10 minutes'
             order by c.expires_at limit ${MOST_COUNTED}) as first) as f`,
};

const OTHERS = {
  text: `select distinct provider from connections
         where provider <> all($1::text[]) and status <> 'revoked' order by provider`,
};

/**
 * The connection that tells most of its provider: alive before dead, one of which it is known what became of its last
 * attempt, not being renewed already, due before not due; among equals any, so that no single one is the only probe.
 */
const PICK = {
  text: `select id from connections
         where provider = $1 and sealed_grant is not null
           and (status in ('active', 'suspect') or (status = 'reauthorization_required' and renew_at <= broker_now()))
         order by status = 'reauthorization_required',
           unknown_outcome is not null or lease_owner is not null,
           coalesce(renew_at > broker_now(), true), random()
         limit 1`,
};

/** Looks at all connections of a provider at once, and changes none. */
@Injectable()
export class ConnectionCensus {
  constructor(
    private readonly database: Database,
    private readonly tallies: ConnectionTallies,
  ) {}

  /** Of each of these providers, by name, without a look at the whole table; what is due is counted up to MOST_COUNTED and one. */
  async glance(providers: readonly string[]): Promise<Map<string, Omit<Tally, 'secretsOverdue'>>> {
    const [tallies, rows] = await Promise.all([
      this.tallies.count(),
      this.database.run<{ provider: string; due: number }>(DUE, [providers]),
    ]);
    return new Map(
      rows.map(({ provider, due }) => [
        provider,
        { connections: tallies.get(provider) ?? NO_CONNECTIONS, backlog: due },
      ]),
    );
  }

  /** Of each of these providers, by name; also of one that has none. */
  async count(providers: readonly string[]): Promise<Map<string, Tally>> {
    const rows = await this.database.run<{
      provider: string;
      status: ConnectionStatus;
      total: number;
      due: number;
      overdue: number;
    }>(COUNT, [providers]);
    return new Map(
      providers.map((provider) => {
        const own = rows.filter((row) => row.provider === provider);
        const totals = STATUSES.map((status) => [
          status,
          own.find((row) => row.status === status)?.total ?? 0,
        ]);
        return [
          provider,
          {
            connections: Object.fromEntries(totals) as Record<ConnectionStatus, number>,
            backlog: own.reduce((sum, { due }) => sum + due, 0),
            secretsOverdue: own.reduce((sum, { overdue }) => sum + overdue, 0),
          },
        ];
      }),
    );
  }

  /** What is due now of each of these providers, by name; up to MOST_COUNTED and one. */
  async backlogsOf(providers: readonly string[]): Promise<Map<string, Backlog>> {
    const rows = await this.database.run<Backlog & { provider: string }>(BACKLOG, [providers]);
    return new Map(rows.map(({ provider, due, oldestOverdueS }) => [provider, { due, oldestOverdueS }]));
  }

  /** What is about to expire of each of these providers, by name. */
  async expiringOf(providers: readonly string[]): Promise<Map<string, Expiring>> {
    const rows = await this.database.run<Expiring & { provider: string }>(EXPIRING, [providers]);
    return new Map(rows.map(({ provider, soonestS, failing }) => [provider, { soonestS, failing }]));
  }

  /** Of which providers, beside these, there are connections that are not revoked. */
  async listOthers(providers: readonly string[]): Promise<string[]> {
    const rows = await this.database.run<{ provider: string }>(OTHERS, [providers]);
    return rows.map(({ provider }) => provider);
  }

  /** The id of a connection to probe this provider with; undefined where it has none. */
  async pickForProbe(provider: string): Promise<string | undefined> {
    const [row] = await this.database.run<{ id: string }>(PICK, [provider]);
    return row?.id;
  }
}
