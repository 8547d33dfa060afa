import { Injectable } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import { Database, type Run } from '../database/database.js';
import { eventOfProvider, Outbox } from '../outbox/outbox.store.js';
import { BROKER } from '../shared/actor.js';
import { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { changeOfProvider } from './connection-trail.js';
import type { ClaimedConnection } from './connection.js';
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
  lockConnection: { text: `select from connections where id = $1 for update` },

  /** One refusal after the other, or two could each be the last that is allowed. */
  lock: {
    text: `select case when refusals_counted_from <= broker_now() then refusals_counted_from end as "countedFrom", mass_refused_at is not null as "isMass"
           from provider_states where provider = $1 for update`,
  },

  lastAllowed: {
    text: `select refusals_allowed as allowed,
             coalesce(refusals_allowed_at > broker_now() - make_interval(secs => $2), false) as "isFresh"
           from provider_states where provider = $1`,
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

interface KeptRefusalRow {
  readonly kept: KeptRow | undefined;
  readonly stopped: boolean;
}

/** A refusal as it was kept. */
export interface KeptRefusal {
  /** Undefined where the lease is somebody else's by now. */
  readonly kept: KeptRow | undefined;
  /** This was the one too many: the provider is stopped from here on. */
  readonly stopped: boolean;
}

/** Refusals of grants, counted over all connections of a provider, so that one mistake there does not end them all. */
@Injectable()
export class RefusalStore {
  constructor(
    private readonly database: Database,
    private readonly metrics: Metrics,
    private readonly audit: AuditStore,
    private readonly outbox: Outbox,
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
    let allowed: number | undefined;
    let result = await this.#tryToKeep(claimed, settled, heldBack, allowed);
    while (result === 'uncounted') {
      // Outside of the lock: all others would wait for the counting.
      allowed = await this.#allowed(claimed.provider);
      result = await this.#tryToKeep(claimed, settled, heldBack, allowed);
    }
    countKept(this.metrics, claimed, result.kept);
    return result;
  }

  /** `uncounted`, and nothing is changed, where it depends on how many connections the provider has. */
  async #tryToKeep(
    claimed: ClaimedConnection,
    settled: FailureSettlement,
    heldBack: FailureSettlement,
    allowed: number | undefined,
  ): Promise<KeptRefusalRow | 'uncounted'> {
    return this.database.transaction(async (run) => {
      // In the order in which claims lock, too: the connection, then its provider.
      await run(SQL.lockConnection, [claimed.id]);
      const isMass = await this.#isMass(run, claimed, allowed);
      if (isMass === undefined) return 'uncounted';
      const values = failureValues(claimed, isMass ? heldBack : settled, true);
      const [kept] = await run<KeptRow>(LEASE_SQL.keepFailure, values);
      const stopped = isMass && kept !== undefined && (await run(SQL.stop, [claimed.provider])).length > 0;
      if (stopped) {
        const { provider } = claimed;
        await this.audit.write(run, changeOfProvider(provider, BROKER, 'mass_refusals'));
        await this.outbox.write(run, eventOfProvider('provider.misconfigured', provider, 'mass_refusals'));
      }
      return { kept, stopped };
    });
  }

  async #isMass(
    run: Run,
    { provider, id }: ClaimedConnection,
    allowed: number | undefined,
  ): Promise<boolean | undefined> {
    const [state] = await run<{ countedFrom: Date | null; isMass: boolean }>(SQL.lock, [provider]);
    if (state?.isMass) return true;
    const values = [provider, id, state?.countedFrom ?? null, WINDOW_S, allowed ?? FEWEST_ALLOWED];
    const [lately] = await run<{ refused: number }>(SQL.countRefused, values);
    const isMass = isMassRefusal((lately?.refused ?? 0) + 1, allowed ?? FEWEST_ALLOWED);
    return isMass && allowed === undefined ? undefined : isMass;
  }

  /** How many may be refused; what was counted last, where nobody can count now. */
  async #allowed(provider: string): Promise<number> {
    const [last] = await this.database.run<{ allowed: number | null; isFresh: boolean }>(SQL.lastAllowed, [
      provider,
      RECOUNT_S,
    ]);
    if (last?.isFresh && last.allowed !== null) return last.allowed;
    try {
      const [all] = await this.database.run<{ total: number }>(SQL.countAll, [provider]);
      const allowed = allowedRefusals(all?.total ?? 0);
      await this.database.run(SQL.noteAllowed, [provider, allowed]);
      return allowed;
    } catch (error) {
      if (error instanceof Problem) return last?.allowed ?? FEWEST_ALLOWED;
      throw error;
    }
  }
}
