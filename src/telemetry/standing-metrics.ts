import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from './metrics.js';

/** What is due of a provider now. */
export interface Backlog {
  readonly due: number;
  /** Seconds; 0 where nothing is. */
  readonly oldestOverdueS: number;
}

/** What is about to expire of a provider. */
export interface Expiring {
  /** Seconds until the first of its living tokens that are renewed expires; null where there is none. */
  readonly soonestS: number | null;
  /** Connections whose renewal fails and whose token lives no longer than ten minutes. */
  readonly failing: number;
}

/** How a provider is being asked. */
export interface ProviderStanding {
  /** Of each reason, whether it keeps anybody from asking. */
  readonly closed: Readonly<Record<string, boolean>>;
  /** Of each state of the breaker, whether it is the present one. */
  readonly breaker: Readonly<Record<string, boolean>>;
  readonly callWindow: number;
}

/** What is kept longer than it should be. */
export type KeyKind = 'connection_secret' | 'service_key' | 'data_key';

/** What is looked up in the database when somebody scrapes: the same at every replica. */
@Injectable()
export class StandingMetrics {
  readonly #backlog: Gauge<'provider'>;
  readonly #oldestOverdue: Gauge<'provider'>;
  readonly #soonestExpiry: Gauge<'provider'>;
  readonly #failing: Gauge<'provider'>;
  readonly #connections: Gauge<'provider' | 'status'>;
  readonly #breaker: Gauge<'provider' | 'state'>;
  readonly #callWindow: Gauge<'provider'>;
  readonly #closed: Gauge<'provider' | 'because'>;
  readonly #keysOverdue: Gauge<'kind'>;

  constructor(private readonly metrics: Metrics) {
    const gauge = <Label extends string>(name: string, help: string, ...labelNames: Label[]): Gauge<Label> =>
      new Gauge({ name: `token_broker_${name}`, help, labelNames, registers: [metrics.registry] });
    this.#backlog = gauge(
      'backlog',
      'Connections whose renewal is due and not running, by provider',
      'provider',
    );
    this.#oldestOverdue = gauge(
      'oldest_overdue_seconds',
      'How long the oldest renewal of the backlog has been due, by provider; 0 where none is',
      'provider',
    );
    this.#soonestExpiry = gauge(
      'soonest_expiry_seconds',
      'Time until the first of the living tokens that are renewed expires, by provider',
      'provider',
    );
    this.#failing = gauge(
      'failing_expiring',
      'Connections whose renewal fails and whose token has expired or will within ten minutes, by provider',
      'provider',
    );
    this.#connections = gauge(
      'connections',
      'Connections by provider and status, counted every few minutes at most',
      'provider',
      'status',
    );
    this.#breaker = gauge(
      'provider_breaker',
      'How a provider that failed is being asked, by provider and state: 1 for the state in which it is',
      'provider',
      'state',
    );
    this.#callWindow = gauge(
      'provider_call_window',
      'Calls that may be in flight to a provider for now, over all replicas, before its own cap counts',
      'provider',
    );
    this.#closed = gauge(
      'provider_closed',
      'Whether nothing of a provider is renewed, by provider and reason: 1 while it is so',
      'provider',
      'because',
    );
    this.#keysOverdue = gauge(
      'keys_overdue',
      'Keys and secrets that should have been replaced by now, by kind',
      'kind',
    );
  }

  /** As `Metrics.providerConfigured`. */
  providerConfigured(provider: string, statuses: readonly string[]): void {
    this.metrics.providerConfigured(provider, statuses);
  }

  /** As `Metrics.lookUpBy`. */
  lookUpBy(lookup: () => Promise<void>): void {
    this.metrics.lookUpBy(lookup);
  }

  backlogSeen(provider: string, { due, oldestOverdueS }: Backlog): void {
    this.#backlog.set({ provider }, due);
    this.#oldestOverdue.set({ provider }, oldestOverdueS);
  }

  expirySeen(provider: string, { soonestS, failing }: Expiring): void {
    if (soonestS !== null) this.#soonestExpiry.set({ provider }, soonestS);
    this.#failing.set({ provider }, failing);
  }

  connectionsCounted(provider: string, byStatus: Readonly<Record<string, number>>): void {
    for (const [status, total] of Object.entries(byStatus))
      this.#connections.set({ provider, status }, total);
  }

  providerSeen(provider: string, { closed, breaker, callWindow }: ProviderStanding): void {
    for (const [because, holds] of Object.entries(closed))
      this.#closed.set({ provider, because }, Number(holds));
    for (const [state, holds] of Object.entries(breaker))
      this.#breaker.set({ provider, state }, Number(holds));
    this.#callWindow.set({ provider }, callWindow);
  }

  keysOverdue(kind: KeyKind, count: number): void {
    this.#keysOverdue.set({ kind }, count);
  }

  /** What was looked up of the engine the last time is told no more, unless it is set again. */
  lookedUpUnknown(): void {
    const gauges = [this.#backlog, this.#oldestOverdue, this.#connections, this.#closed, this.#breaker];
    for (const gauge of [...gauges, this.#callWindow, this.#soonestExpiry, this.#failing]) gauge.reset();
  }

  /** As `lookedUpUnknown`, of keys of these kinds. */
  keysUnknown(...kinds: readonly KeyKind[]): void {
    for (const kind of kinds) this.#keysOverdue.remove({ kind });
  }
}
