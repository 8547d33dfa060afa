import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Clock } from '../shared/clock.js';
import { StandingMetrics, type Backlog, type Expiring } from '../telemetry/standing-metrics.js';
import { ConnectionCensus, MOST_COUNTED, type Tally } from './connection-census.js';
import { STATUSES } from './connection.js';
import { heldBackBy } from './held-back.js';
import { breakerOf } from './provider-answer.js';
import { ProviderStateStore, type ObservedProvider } from './provider-state.store.js';
import { CLOSED_BECAUSE } from './room.js';
import { SparingLookup } from './sparing-lookup.js';

/** How the engine stands: what is due of each provider, and how it is being asked. */
interface Standing {
  readonly backlogs: ReadonlyMap<string, Backlog>;
  readonly expiring: ReadonlyMap<string, Expiring>;
  readonly states: ReadonlyMap<string, ObservedProvider>;
}

/** Milliseconds that a scrape waits for the database; what comes later is told to the next one. */
const SCRAPE_WAITS_MS = 1_000;
const SCRAPE_WAITS_FOR_COUNT_MS = 250;

/** Costs milliseconds, with a long backlog up to 0.1 s a provider: at most a tenth of one database connection's time. */
const STANDING = { everyMs: 2_000, share: 0.1, atLeastEveryMs: 60_000, keptMs: 60_000 };
/** Reads the whole table, 1 s for a million rows of 1 KB: no index spares that where every row changes each hour. */
const COUNT = { everyMs: 60_000, share: 0.01, atLeastEveryMs: 600_000, keptMs: 300_000 };

/** Gauges of what lies in the database, looked up when somebody scrapes: however often that is, and of however many rows. */
@Injectable()
export class EngineGauges implements OnApplicationBootstrap {
  readonly #standing: SparingLookup<Standing>;
  readonly #tallies: SparingLookup<ReadonlyMap<string, Tally>>;

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly census: ConnectionCensus,
    private readonly states: ProviderStateStore,
    private readonly metrics: StandingMetrics,
    clock: Clock,
  ) {
    this.#standing = new SparingLookup(() => this.#lookAtEngine(), STANDING, clock);
    this.#tallies = new SparingLookup(() => this.census.count(this.#names()), COUNT, clock);
  }

  onApplicationBootstrap(): void {
    for (const name of this.#names()) this.metrics.providerConfigured(name, STATUSES);
    this.metrics.lookUpBy(() => this.#tell());
  }

  /** Absent once it is too old: a number that stands still while the database is away would say that all is well. */
  async #tell(): Promise<void> {
    const [standing, tallies] = await Promise.all([
      this.#standing.latest(SCRAPE_WAITS_MS),
      this.#tallies.latest(SCRAPE_WAITS_FOR_COUNT_MS),
    ]);
    this.metrics.lookedUpUnknown();
    this.metrics.keysUnknown('connection_secret');
    for (const [name, { connections }] of tallies ?? []) this.metrics.connectionsCounted(name, connections);
    for (const [name, expiring] of standing?.expiring ?? []) this.metrics.expirySeen(name, expiring);
    if (tallies) {
      const overdue = [...tallies.values()].reduce((sum, { secretsOverdue }) => sum + secretsOverdue, 0);
      this.metrics.keysOverdue('connection_secret', overdue);
    }
    for (const [name, backlog] of standing?.backlogs ?? []) {
      // Beyond what is counted each time, the last count of everything says more.
      const counted = backlog.due > MOST_COUNTED ? (tallies?.get(name)?.backlog ?? 0) : 0;
      this.metrics.backlogSeen(name, { ...backlog, due: Math.max(backlog.due, counted) });
    }
    for (const [name, state] of standing?.states ?? []) {
      this.metrics.providerSeen(name, {
        closed: flags(
          CLOSED_BECAUSE,
          heldBackBy(state).map(({ because }) => because),
        ),
        breaker: flags(BREAKERS, [breakerOf(state)]),
        callWindow: state.callWindow,
      });
    }
  }

  async #lookAtEngine(): Promise<Standing> {
    const names = this.#names();
    const [backlogs, expiring, states] = await Promise.all([
      this.census.backlogsOf(names),
      this.census.expiringOf(names),
      this.states.list(names),
    ]);
    return { backlogs, expiring, states };
  }

  #names(): string[] {
    return this.registry.all().map(({ name }) => name);
  }
}

const BREAKERS = ['closed', 'open', 'half_open'] as const satisfies readonly ReturnType<typeof breakerOf>[];

/** Each of these names, and whether it is among those that hold. */
function flags<Name extends string>(all: readonly Name[], holding: readonly Name[]): Record<string, boolean> {
  return Object.fromEntries(all.map((name) => [name, holding.includes(name)]));
}
