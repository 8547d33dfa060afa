import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Clock } from '../shared/clock.js';
import { ResourceMetrics } from '../telemetry/resource-metrics.js';
import { StandingMetrics } from '../telemetry/standing-metrics.js';
import { SparingLookup } from '../token/sparing-lookup.js';

/** Days after which a key should have been replaced: a service's key lives no longer unless somebody said so. */
const SERVICE_KEY_DAYS = 90;
const DATA_KEY_DAYS = 365;

/** Both tables are small. Nothing changes within a minute. */
const OVERDUE = {
  text: `select
           (select count(*) from client_keys k join clients c on c.id = k.client_id
            where c.deleted_at is null and (c.expires_at is null or c.expires_at > broker_now())
              and k.expires_at > broker_now() and k.created_at <= broker_now() - make_interval(days => $1))::float8 as "serviceKeys",
           (select count(*) from (
              select distinct on (purpose) created_at from data_keys where purpose = 'seal'
              order by purpose, created_at desc) as newest
            where created_at <= broker_now() - make_interval(days => $2))::float8 as "dataKeys"`,
};

interface Overdue {
  readonly serviceKeys: number;
  readonly dataKeys: number;
}

const LOOK = { everyMs: 60_000, share: 0.01, atLeastEveryMs: 600_000, keptMs: 300_000 };
const SCRAPE_WAITS_MS = 250;

/** Told with each scrape: what this process has of the database, and keys that are older than they should be. */
@Injectable()
export class ProcessGauges implements OnModuleInit {
  readonly #overdue: SparingLookup<Overdue | undefined>;

  constructor(
    private readonly database: Database,
    private readonly resources: ResourceMetrics,
    private readonly standing: StandingMetrics,
    clock: Clock,
  ) {
    const look = async (): Promise<Overdue | undefined> =>
      (await database.run<Overdue & object>(OVERDUE, [SERVICE_KEY_DAYS, DATA_KEY_DAYS]))[0];
    this.#overdue = new SparingLookup(look, LOOK, clock);
  }

  /** Before all that looks things up over these pools. */
  onModuleInit(): void {
    this.standing.lookUpBy(() => this.#tell());
  }

  async #tell(): Promise<void> {
    this.resources.poolsSeen(this.database.pools());
    const overdue = await this.#overdue.latest(SCRAPE_WAITS_MS);
    this.standing.keysUnknown('service_key', 'data_key');
    if (!overdue) return;
    this.standing.keysOverdue('service_key', overdue.serviceKeys);
    this.standing.keysOverdue('data_key', overdue.dataKeys);
  }
}
