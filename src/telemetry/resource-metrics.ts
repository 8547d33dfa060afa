import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from './metrics.js';

/** Connections to the database that share one limit. */
export interface PoolStanding {
  readonly pool: 'internal' | 'public';
  readonly open: number;
  readonly idle: number;
  readonly waiting: number;
}

/** What this process has of the database. */
@Injectable()
export class ResourceMetrics {
  readonly #connections: Gauge<'pool' | 'state'>;
  readonly #waiting: Gauge<'pool'>;

  constructor({ registry }: Metrics) {
    this.#connections = new Gauge({
      name: 'token_broker_database_connections',
      help: 'Open connections to the database, by pool and state (busy, idle)',
      labelNames: ['pool', 'state'],
      registers: [registry],
    });
    this.#waiting = new Gauge({
      name: 'token_broker_database_waiting',
      help: 'Statements that wait for a connection to the database, by pool',
      labelNames: ['pool'],
      registers: [registry],
    });
  }

  poolsSeen(pools: readonly PoolStanding[]): void {
    for (const { pool, open, idle, waiting } of pools) {
      this.#connections.set({ pool, state: 'busy' }, open - idle);
      this.#connections.set({ pool, state: 'idle' }, idle);
      this.#waiting.set({ pool }, waiting);
    }
  }
}
