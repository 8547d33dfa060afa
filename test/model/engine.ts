import type { DataSource } from 'typeorm';
import type { QueryResultRow } from 'pg';
import type { SharedProviderSettings } from '../../src/config/provider-settings.js';
import { AuditLines } from '../../src/audit/audit-lines.js';
import { AuditStore } from '../../src/audit/audit.store.js';
import type { Settings } from '../../src/config/settings.js';
import { Database, type Run, type Statement } from '../../src/database/database.js';
import { Notifications } from '../../src/database/notifications.js';
import { ProviderObservations } from '../../src/provider/observations.js';
import { Outbox } from '../../src/outbox/outbox.store.js';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import type { Clock } from '../../src/shared/clock.js';
import type { Metrics } from '../../src/telemetry/metrics.js';
import { BatchedKeeps } from '../../src/token/batched-keeps.js';
import { CallsInFlight } from '../../src/token/calls-in-flight.js';
import { ConnectionStore } from '../../src/token/connection.store.js';
import { FailureKeeper } from '../../src/token/failure-keeper.js';
import { GrantKeeper } from '../../src/token/grant-keeper.js';
import { LeaseStore } from '../../src/token/lease.store.js';
import { PaceStore } from '../../src/token/pace.store.js';
import { ProviderHealth } from '../../src/token/provider-health.js';
import { ProviderStateStore } from '../../src/token/provider-state.store.js';
import { RecentWrites } from '../../src/token/recent-writes.js';
import { RefusalStore } from '../../src/token/refusal.store.js';
import { RenewalAttempt } from '../../src/token/renewal-attempt.js';
import { RenewalClaims } from '../../src/token/renewal-claims.js';
import { RevivalService } from '../../src/token/revival.service.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import type { Vault } from '../../src/vault/vault.js';
import { AskedProvider } from './asked-provider.js';
import type { Grantor } from './grantor.js';

/** The way to the database of a process that may die between two statements. What it began then never ends. */
class MortalDatabase extends Database {
  #statementsLeft = Infinity;
  #die: () => void = () => undefined;
  readonly died = new Promise<void>((resolve) => (this.#die = resolve));

  /** Dies after so many more statements. */
  dieAfter(statements: number): void {
    this.#statementsLeft = statements;
  }

  override async run<Row extends QueryResultRow>(
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<Row[]> {
    await this.#breathe();
    return super.run<Row>(statement, values);
  }

  override async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    await this.#breathe();
    return super.transaction(work);
  }

  async #breathe(): Promise<void> {
    this.#statementsLeft -= 1;
    if (this.#statementsLeft >= 0) return;
    this.#die();
    await new Promise(() => undefined);
  }
}

/** What all replicas of a test have in common. */
export interface Ground {
  readonly dataSource: DataSource;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly vault: Vault;
  readonly metrics: Metrics;
}

/** The engine of one replica, made of its own classes; it does nothing that it is not told to do. */
export class Engine {
  readonly database: MortalDatabase;
  readonly provider: AskedProvider;
  readonly store: ConnectionStore;
  readonly states: ProviderStateStore;
  readonly keeper: GrantKeeper;
  readonly claims: RenewalClaims;
  readonly renewer: TokenRenewer;
  readonly revival: RevivalService;

  constructor(ground: Ground, providerSettings: SharedProviderSettings, grantor: Grantor) {
    const { clock, vault, metrics } = ground;
    const database = (this.database = new MortalDatabase(ground.dataSource, clock));
    const notifications = new Notifications(ground.settings, database);
    const registry = new ProviderRegistry();
    this.provider = new AskedProvider(providerSettings, grantor);
    registry.register(this.provider);
    const recent = new RecentWrites(database, notifications, clock, metrics, vault);
    const calls = new CallsInFlight();
    const audit = new AuditStore(database, new AuditLines(ground.settings), metrics);
    const outbox = new Outbox(database);
    this.states = new ProviderStateStore(database, audit, outbox);
    const pace = new PaceStore(database, calls, this.states);
    const keeps = new BatchedKeeps(database, clock, audit);
    const leases = new LeaseStore(database, pace, keeps, recent, metrics);
    const health = new ProviderHealth(this.states, pace, new ProviderObservations(clock), metrics, vault);
    this.store = new ConnectionStore(database, recent, metrics, audit, outbox);
    this.keeper = new GrantKeeper(this.store, leases, health, vault, clock);
    const failures = new FailureKeeper(leases, new RefusalStore(database, metrics, audit, outbox), audit);
    this.claims = new RenewalClaims(registry, leases, health, calls, clock);
    const attempt = new RenewalAttempt(registry, this.keeper, failures, health, clock);
    this.renewer = new TokenRenewer(this.store, attempt, this.claims, notifications, clock);
    this.revival = new RevivalService(registry, this.states, this.store);
  }
}
