import { Injectable, type OnModuleInit } from '@nestjs/common';
import { within } from '../shared/within.js';
import { KeyMetrics } from '../telemetry/key-metrics.js';
import { KeyCensus, rowsOf, type SealedRows } from './key-census.js';
import { KeyRing } from './key-ring.js';
import { Resealing } from './resealing.js';

/** A scrape waits no longer for the database. Milliseconds. */
const PATIENCE_MS = 1_000;

/** Tells whoever scrapes how the keys stand, and a rotation. */
@Injectable()
export class KeyGauges implements OnModuleInit {
  constructor(
    private readonly ring: KeyRing,
    private readonly census: KeyCensus,
    private readonly resealing: Resealing,
    private readonly metrics: KeyMetrics,
  ) {}

  onModuleInit(): void {
    this.metrics.lookUpBy(() => this.#tell());
  }

  async #tell(): Promise<void> {
    const { ring, census } = this;
    const counted = ring.hasOlder ? await within(census.lately(), PATIENCE_MS) : undefined;
    if (counted) this.#tellRows(counted.counted);
    // What was counted before does not say how it stands.
    if (census.why !== undefined) this.metrics.rowsUnknown();
    this.metrics.resealingFails((this.resealing.why ?? census.why) !== undefined);
    this.metrics.keysSeen({ ageS: ring.ageS, locked: ring.locked.length });
  }

  /** What a key has sealed that is closed here is not sealed anew here. */
  #tellRows(counted: readonly SealedRows[]): void {
    const [ids, newest] = [this.ring.sealing.map(({ id }) => id), this.ring.newest('seal').id];
    this.metrics.rowsCounted({
      active: rowsOf(counted, new Set([newest])),
      retiring: rowsOf(counted, new Set(ids.filter((id) => id !== newest))),
    });
  }
}
