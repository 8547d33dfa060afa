import { Injectable } from '@nestjs/common';
import { Database, type Run } from '../database/database.js';
import { Metrics } from '../telemetry/metrics.js';
import type { ClaimedConnection, Connection } from './connection.js';
import { countKept, type KeptRow } from './kept-row.js';
import { LEASE_SQL } from './lease.sql.js';
import { failureValues } from './lease.store.js';
import { allowedRefusals, FEWEST_ALLOWED, isMassRefusal } from './mass-refusal.js';
import type { FailureSettlement } from './transition.js';

/** Refusals further back say nothing of now. */
const WINDOW_S = 600;
/** Counting all connections of a provider is not cheap: it is done once in this time, while there are refusals. */
const RECOUNT_S = 60;

const SQL = {
  /** One refusal after the other, or two could each be the last that is allowed. */
  lock: {
    text: `select refusals_counted_from as "countedFrom", mass_refused_at is not null as "isMass",
             case when refusals_allowed_at > broker_now() - make_interval(secs => $2) then refusals_allowed end as allowed
           from provider_states where provider = $1 for update`,
  },

  /** $2 this connection, which counts by itself, $3 refusals before this were looked at, $4 seconds, $5 no more than. */
  countRefused: {
    text: `select count(*)::integer as refused from (
             select from connections where provider = $1 and id <> $2 and refused_at is not null
               and refused_at > greatest(broker_now() - make_interval(secs => $4), coalesce($3::timestamptz, '-infinity'))
             limit $5) as lately`,
  },

  countAll: {
    text: `select count(*)::double precision as total from connections where provider = $1 and status <> 'revoked'`,
  },

  noteAllowed: {
    text: `update provider_states set refusals_allowed = $2, refusals_allowed_at = broker_now() where provider = $1`,
  },

  stop: {
    text: `update provider_states set mass_refused_at = broker_now(), call_window = 1, updated_at = broker_now()
           where provider = $1 and mass_refused_at is null returning 1`,
  },
} as const;

/** A refusal as it was kept. */
export interface KeptRefusal {
  /** Undefined where the lease is somebody else's by now. */
  readonly kept: Connection | undefined;
  /** This was the one too many: the provider is stopped from here on. */
  readonly stopped: boolean;
}

/** Refusals of grants, counted over all connections of a provider, so that one mistake there does not end them all. */
@Injectable()
export class RefusalStore {
  constructor(
    private readonly database: Database,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Keeps a refusal as it was `settled`; where too many others of the provider were refused lately as it is `heldBack`, with
   * the provider stopped.
   */
  async keep(
    claimed: ClaimedConnection,
    settled: FailureSettlement,
    heldBack: FailureSettlement,
  ): Promise<KeptRefusal> {
    const result = await this.database.transaction(async (run) => {
      const isMass = await this.#isMass(run, claimed);
      const [kept] = await run<KeptRow>(
        LEASE_SQL.keepFailure,
        failureValues(claimed, isMass ? heldBack : settled, true),
      );
      const stopped = isMass && kept !== undefined && (await run(SQL.stop, [claimed.provider])).length > 0;
      return { kept, stopped };
    });
    countKept(this.metrics, claimed, result.kept);
    return result;
  }

  async #isMass(run: Run, { provider, id }: ClaimedConnection): Promise<boolean> {
    const [state] = await run<{ countedFrom: Date | null; isMass: boolean; allowed: number | null }>(
      SQL.lock,
      [provider, RECOUNT_S],
    );
    if (state?.isMass) return true;
    const count = async (most: number): Promise<number> => {
      const values = [provider, id, state?.countedFrom ?? null, WINDOW_S, most];
      return (await run<{ refused: number }>(SQL.countRefused, values))[0]?.refused ?? 0;
    };
    if (!isMassRefusal((await count(FEWEST_ALLOWED)) + 1, FEWEST_ALLOWED)) return false;
    const allowed = state?.allowed ?? (await this.#countAllowed(run, provider));
    return isMassRefusal((await count(allowed)) + 1, allowed);
  }

  async #countAllowed(run: Run, provider: string): Promise<number> {
    const [all] = await run<{ total: number }>(SQL.countAll, [provider]);
    const allowed = allowedRefusals(all?.total ?? 0);
    await run(SQL.noteAllowed, [provider, allowed]);
    return allowed;
  }
}
