import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** One named method per event. Labels are few and closed: providers and outcomes, never a company or a location. */
@Injectable()
export class Metrics {
  readonly #registry = new Registry();

  readonly #served = new Counter({
    name: 'token_broker_tokens_total',
    help: 'Answers to a request for a token, by provider and outcome (fresh, stale, or the code of the problem)',
    labelNames: ['provider', 'outcome'],
    registers: [this.#registry],
  });

  readonly #settled = new Counter({
    name: 'token_broker_renewals_total',
    help: 'Renewals by provider and outcome',
    labelNames: ['provider', 'outcome'],
    registers: [this.#registry],
  });

  readonly #upstream = new Histogram({
    name: 'token_broker_upstream_seconds',
    help: 'Duration of calls to a provider, by provider',
    labelNames: ['provider'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.#registry],
  });

  readonly #suspected = new Counter({
    name: 'token_broker_tokens_suspected_total',
    help: 'Tokens that nothing renews and that were reported with a 401, by provider: a person has to look',
    labelNames: ['provider'],
    registers: [this.#registry],
  });

  readonly #skew = new Gauge({
    name: 'token_broker_provider_clock_skew_seconds',
    help: "How far a provider's clock is ahead of this replica's, by the Date header of its last answer",
    labelNames: ['provider'],
    registers: [this.#registry],
  });

  readonly #repeated = new Counter({
    name: 'token_broker_writes_repeated_total',
    help: 'Writes that the database had confirmed and a failover had forgotten, and that were written again',
    registers: [this.#registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  tokenAnswered(provider: string, outcome: string): void {
    this.#served.inc({ provider, outcome });
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

  writesRepeated(count: number): void {
    this.#repeated.inc(count);
  }

  /** Everything, in Prometheus' text format. */
  async exposition(): Promise<{ contentType: string; text: string }> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
