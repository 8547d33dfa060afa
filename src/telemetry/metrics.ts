import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { getOrMake, newMap } from '../shared/get-or-make.js';
import { TalliedCounter, type Tally } from './tallied.js';

/** Life that a token had left: none where it had expired, more than a day where it was renewed long before. */
const LIFE_LEFT_S = [
  -3_600, -300, -60, 0, 15, 30, 45, 60, 120, 300, 600, 1_200, 1_800, 3_600, 14_400, 86_400,
];

/** What can be too much: requests of one caller by family, credentials from one address that nobody knows, work from outside. */
export const REQUEST_LIMITS = [
  'tokens',
  'reports',
  'reads',
  'changes',
  'denials',
  'unknown_credentials',
  'public',
] as const;

export type RequestLimit = (typeof REQUEST_LIMITS)[number];

/**
 * One named method per event. Labels are few and closed, never a company or a location. What is counted is this process's own
 * and to be summed over the replicas; what was looked up in the database is the same at each of them. docs/metrics.md lists all.
 */
@Injectable()
export class Metrics {
  /** Where everything is told; other classes add what they count. */
  readonly registry = new Registry();
  readonly #lookups: (() => Promise<void>)[] = [];
  readonly #servedOf = new Map<string, Map<string, Tally>>();

  readonly #served = new TalliedCounter({
    name: 'token_broker_tokens_total',
    help: 'Answers to a request for a token, by provider and outcome (fresh, stale, or the code of the problem)',
    labelNames: ['provider', 'outcome'],
    registers: [this.registry],
  });

  readonly #settled = new Counter({
    name: 'token_broker_renewals_total',
    help: 'Renewals by provider and outcome',
    labelNames: ['provider', 'outcome'],
    registers: [this.registry],
  });

  readonly #upstream = new Histogram({
    name: 'token_broker_upstream_seconds',
    help: 'Duration of calls to a provider, by provider',
    labelNames: ['provider'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  readonly #suspected = new Counter({
    name: 'token_broker_tokens_suspected_total',
    help: 'Tokens that nothing renews and that were reported with a 401, by provider: a person has to look',
    labelNames: ['provider'],
    registers: [this.registry],
  });

  readonly #skew = new Gauge({
    name: 'token_broker_provider_clock_skew_seconds',
    help: "How far a provider's clock is ahead of this replica's, by the Date header of its last answer",
    labelNames: ['provider'],
    registers: [this.registry],
  });

  readonly #lifeLeft = new Histogram({
    name: 'token_broker_renewal_life_left_seconds',
    help: 'Life that a token had left when its successor was kept, by provider; below 0 it had expired',
    labelNames: ['provider'],
    buckets: LIFE_LEFT_S,
    registers: [this.registry],
  });

  readonly #leasesLost = new Counter({
    name: 'token_broker_leases_lost_total',
    help: 'Outcomes of renewals that the fence refused, since the lease or the grant was another by then, by provider',
    labelNames: ['provider'],
    registers: [this.registry],
  });

  readonly #crashes = new Counter({
    name: 'token_broker_crashes_taken_over_total',
    help: 'Leases taken over from a holder that never came back, by provider',
    labelNames: ['provider'],
    registers: [this.registry],
  });

  readonly #transitions = new Counter({
    name: 'token_broker_connection_transitions_total',
    help: 'Connections that came into a status out of another one, by provider and new status',
    labelNames: ['provider', 'status'],
    registers: [this.registry],
  });

  readonly #repeated = new Counter({
    name: 'token_broker_writes_repeated_total',
    help: 'Writes that the database had confirmed and a failover had forgotten, and that were written again',
    registers: [this.registry],
  });

  readonly #limited = new Counter({
    name: 'token_broker_requests_limited_total',
    help: 'Requests that were refused because there were too many, by limit',
    labelNames: ['limit'],
    registers: [this.registry],
  });

  readonly #audited = new Counter({
    name: 'token_broker_audit_events_total',
    help: 'Events written to the audit trail; reads of a minute that are folded count once',
    registers: [this.registry],
  });

  readonly #auditQueue = new Gauge({
    name: 'token_broker_audit_queue',
    help: 'Events of the audit trail that wait to be written',
    registers: [this.registry],
  });

  readonly #auditRoom = new Gauge({
    name: 'token_broker_audit_queue_limit',
    help: 'How many events of the audit trail may wait to be written; beyond that requests are refused',
    registers: [this.registry],
  });

  readonly #unaudited = new Counter({
    name: 'token_broker_audit_refused_total',
    help: 'Requests refused since too many events of the audit trail wait to be written',
    registers: [this.registry],
  });

  readonly #unauthenticated = new Counter({
    name: 'token_broker_unauthenticated_total',
    help: 'Requests refused since nobody vouched for them (401)',
    registers: [this.registry],
  });

  constructor() {
    for (const limit of REQUEST_LIMITS) this.#limited.inc({ limit }, 0);
    collectDefaultMetrics({ register: this.registry });
  }

  /** A provider is configured: what is counted of it begins at 0, or the first event would be seen by no `increase()`. */
  providerConfigured(provider: string, statuses: readonly string[]): void {
    for (const counter of [this.#leasesLost, this.#crashes, this.#suspected]) counter.inc({ provider }, 0);
    for (const status of statuses) this.#transitions.inc({ provider, status }, 0);
  }

  /** Has this awaited before everything is told; it sets what is only known when asked for, and must neither throw nor last. */
  lookUpBy(lookup: () => Promise<void>): void {
    this.#lookups.push(lookup);
  }

  tokenAnswered(provider: string, outcome: string): void {
    const outcomes = getOrMake(this.#servedOf, provider, newMap<string, Tally>);
    getOrMake(outcomes, outcome, () => this.#served.begin({ provider, outcome })).count += 1;
  }

  renewalSettled(provider: string, outcome: string): void {
    this.#settled.inc({ provider, outcome });
  }

  tokenSuspected(provider: string): void {
    this.#suspected.inc({ provider });
  }

  providerAsked(provider: string, seconds: number): void {
    this.#upstream.observe({ provider }, seconds);
  }

  clockSkewSeen(provider: string, seconds: number): void {
    this.#skew.set({ provider }, seconds);
  }

  /** A successor was kept of a token that had this life left. */
  tokenSucceeded(provider: string, lifeLeftS: number): void {
    this.#lifeLeft.observe({ provider }, lifeLeftS);
  }

  leaseLost(provider: string): void {
    this.#leasesLost.inc({ provider });
  }

  crashTakenOver(provider: string): void {
    this.#crashes.inc({ provider });
  }

  /** A connection has come into this status out of another one. */
  statusChanged(provider: string, status: string): void {
    this.#transitions.inc({ provider, status });
  }

  requestLimited(limit: RequestLimit): void {
    this.#limited.inc({ limit });
  }

  writesRepeated(count: number): void {
    this.#repeated.inc(count);
  }

  auditWritten(events: number): void {
    this.#audited.inc(events);
  }

  /** Asks for these when everything is told: they change with each event. */
  watchAudit(of: { readonly waiting: number; readonly rows: number }): void {
    this.lookUpBy(() => {
      this.#auditQueue.set(of.waiting);
      this.#auditRoom.set(of.rows);
      return Promise.resolve();
    });
  }

  /** What cannot be audited is not served. */
  refusedUnaudited(): void {
    this.#unaudited.inc();
  }

  refusedUnauthenticated(): void {
    this.#unauthenticated.inc();
  }

  /** Everything, in Prometheus' text format. */
  async exposition(): Promise<{ contentType: string; text: string }> {
    await Promise.all(this.#lookups.map((lookup) => lookup()));
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }
}
