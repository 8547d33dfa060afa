import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { Metrics } from './metrics.js';

/** How far sellers come: begun at the provider's consent, and ended one way or the other. Many a seller just leaves. */
@Injectable()
export class ConsentMetrics {
  readonly #installs: Counter<'provider' | 'step'>;

  constructor({ registry }: Metrics) {
    this.#installs = new Counter({
      name: 'token_broker_installs_total',
      help: "Sellers sent to a provider's consent (started), and what became of those who came back, by provider",
      labelNames: ['provider', 'step'],
      registers: [registry],
    });
  }

  /** All begins at 0, or the first would be seen by no `increase()`. */
  providerConfigured(provider: string): void {
    for (const step of ['started', 'completed', 'failed']) this.#installs.inc({ provider, step }, 0);
  }

  started(provider: string): void {
    this.#installs.inc({ provider, step: 'started' });
  }

  completed(provider: string): void {
    this.#installs.inc({ provider, step: 'completed' });
  }

  /** Proven to be one that was begun here, and nothing came of it. */
  failed(provider: string): void {
    this.#installs.inc({ provider, step: 'failed' });
  }
}
