import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Clock } from '../shared/clock.js';
import { Metrics, type Backlog } from '../telemetry/metrics.js';
import { CLOSURES, type Closure } from './closure.js';
import { ConnectionCensus, type Tally } from './connection-census.js';
import { STATUSES } from './connection.js';
import { ProviderStateStore } from './provider-state.store.js';
import { SparingLookup } from './sparing-lookup.js';

/** How the engine stands: what is due of each provider, and why nothing of it is renewed. */
interface Standing {
  readonly backlogs: ReadonlyMap<string, Backlog>;
  readonly closed: ReadonlyMap<string, ReadonlySet<Closure>>;
}

/** Milliseconds that a scrape waits for the database; what comes later is told to the next one. */
const SCRAPE_WAITS_MS = 1_000;
const SCRAPE_WAITS_FOR_COUNT_MS = 250;

/** 20 ms with 133,000 connections due, 0.2 s with a million: at most a tenth of one database connection's time. */
const STANDING = { everyMs: 2_000, share: 0.1, atLeastEveryMs: 60_000, keptMs: 60_000 };
/** Reads the whole table (1 s for a million rows of 1 KB), which no index spares where every row changes each hour. */
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
    private readonly metrics: Metrics,
    clock: Clock,
  ) {
    this.#standing = new SparingLookup(() => this.#lookAtEngine(), STANDING, clock);
    this.#tallies = new SparingLookup(() => this.census.count(this.#names()), COUNT, clock);
  }

  onApplicationBootstrap(): void {
    for (const name of this.#names()) this.metrics.providerConfigured(name, STATUSES);
    this.metrics.lookUpBy(() => this.#tellStanding());
    this.metrics.lookUpBy(() => this.#tellTallies());
  }

  /** Absent once it is a minute too old: a number that stands still while the database is away would say that all is well. */
  async #tellStanding(): Promise<void> {
    const standing = await this.#standing.latest(SCRAPE_WAITS_MS);
    this.metrics.backlogUnknown();
    for (const [name, backlog] of standing?.backlogs ?? []) this.metrics.backlogSeen(name, backlog);
    for (const [name, reasons] of standing?.closed ?? []) {
      const flags = CLOSURES.map((because) => [because, reasons.has(because)]);
      this.metrics.providerClosed(name, Object.fromEntries(flags) as Record<Closure, boolean>);
    }
  }

  async #tellTallies(): Promise<void> {
    const tallies = await this.#tallies.latest(SCRAPE_WAITS_FOR_COUNT_MS);
    this.metrics.connectionsUnknown();
    for (const [name, { connections }] of tallies ?? []) this.metrics.connectionsCounted(name, connections);
  }

  async #lookAtEngine(): Promise<Standing> {
    const names = this.#names();
    const [backlogs, { misconfigured, paused }] = await Promise.all([
      this.census.backlogsOf(names),
      this.states.listHeldBack(),
    ]);
    const reasonsOf = (name: string): ReadonlySet<Closure> => {
      const reasons = new Set<Closure>();
      if (paused.includes(name)) reasons.add('paused');
      if (misconfigured.includes(name)) reasons.add('misconfigured');
      return reasons;
    };
    return { backlogs, closed: new Map(names.map((name) => [name, reasonsOf(name)])) };
  }

  #names(): string[] {
    return this.registry.all().map(({ name }) => name);
  }
}
