import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Metrics } from './metrics.js';

/** What is told of data keys: how old the one is that seals, and what is left to be sealed by it. */
@Injectable()
export class KeyMetrics {
  readonly #sealedRows: Gauge<'state'>;
  readonly #resealed: Counter;
  readonly #failing: Gauge;
  readonly #age: Gauge;
  readonly #locked: Gauge;

  constructor(private readonly metrics: Metrics) {
    const registers = [metrics.registry];
    this.#sealedRows = new Gauge({
      name: 'token_broker_sealed_rows',
      help: 'Rows by the state of the data key that has sealed them (active, retiring), counted while there is more than one',
      labelNames: ['state'],
      registers,
    });
    this.#resealed = new Counter({
      name: 'token_broker_rows_resealed_total',
      help: 'Rows that were sealed anew by the newest data key',
      registers,
    });
    this.#failing = new Gauge({
      name: 'token_broker_resealing_failing',
      help: '1 while this replica fails to seal rows anew, or to count what is sealed by which key; its log says why',
      registers,
    });
    this.#age = new Gauge({
      name: 'token_broker_data_key_age_seconds',
      help: 'Age of the data key that seals now',
      registers,
    });
    this.#locked = new Gauge({
      name: 'token_broker_data_keys_locked',
      help: 'Data keys that this replica cannot unwrap; while there are any it is not ready',
      registers,
    });
  }

  /** As `Metrics.lookUpBy`. */
  lookUpBy(lookup: () => Promise<void>): void {
    this.metrics.lookUpBy(lookup);
  }

  rowsCounted({ active, retiring }: { active: number; retiring: number }): void {
    this.#sealedRows.set({ state: 'active' }, active);
    this.#sealedRows.set({ state: 'retiring' }, retiring);
  }

  rowsUnknown(): void {
    this.#sealedRows.reset();
  }

  resealingFails(isFailing: boolean): void {
    this.#failing.set(isFailing ? 1 : 0);
  }

  rowsResealed(rows: number): void {
    this.#resealed.inc(rows);
  }

  keysSeen({ ageS, locked }: { ageS: number; locked: number }): void {
    this.#age.set(ageS);
    this.#locked.set(locked);
  }
}
