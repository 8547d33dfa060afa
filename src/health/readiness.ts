import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { DataSource } from 'typeorm';
import { ProviderStateStore } from '../token/provider-state.store.js';
import { KeyRing } from '../vault/key-ring.js';
import { DatabaseReach } from './database-reach.js';

/** The parts without which a replica must get no requests. */
@Injectable()
export class Readiness {
  #stopping = false;

  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly database: DatabaseReach,
    @Inject(DataSource) private readonly dataSource: DataSource,
    private readonly keys: KeyRing,
    private readonly providers: ProviderStateStore,
  ) {}

  /** From here on nobody new is to be sent here, while what is running ends. */
  beginToStop(): void {
    this.#stopping = true;
  }

  process(): HealthIndicatorResult {
    const indicator = this.indicators.check('process');
    return this.#stopping ? indicator.down({ reason: 'stopping' }) : indicator.up();
  }

  /** @param isThere it was just reached: once is enough */
  async reachable(isThere: boolean): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check('database');
    try {
      if (!isThere) await this.database.ping();
      return indicator.up();
    } catch {
      return indicator.down({ reason: 'unreachable' });
    }
  }

  /** As `DatabaseReach.look`. */
  async look(): ReturnType<DatabaseReach['look']> {
    return this.database.look();
  }

  remembered(): HealthIndicatorResult {
    return this.indicators.check('database').degraded({ reason: 'unreachable' });
  }

  async migrated(): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check('migrations');
    try {
      return (await this.dataSource.showMigrations())
        ? indicator.down({ reason: 'pending' })
        : indicator.up();
    } catch {
      return indicator.down({ reason: 'unknown' });
    }
  }

  /** A provider's trouble is shown and takes no replica out: tokens in hand are served all the same. */
  async accepted(): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check('providers');
    try {
      const heldBack = Object.entries(await this.providers.listHeldBack()).filter(
        ([, names]) => names.length > 0,
      );
      return heldBack.length > 0 ? indicator.degraded(Object.fromEntries(heldBack)) : indicator.up();
    } catch {
      return indicator.degraded({ reason: 'unknown' });
    }
  }

  unlocked(): HealthIndicatorResult {
    const indicator = this.indicators.check('keys');
    const { isLoaded, locked, misnamed, wrappedElsewhere } = this.keys;
    if (!isLoaded) return indicator.down({ reason: 'not loaded' });
    const [first] = locked;
    if (first) return indicator.down({ reason: `data key ${first.id}: ${first.why}` });
    // All is open, as long as this process runs.
    if (misnamed.length > 0)
      return indicator.degraded({ reason: `ENCRYPTION_KEYS has another key under ${misnamed.join(', ')}` });
    if (wrappedElsewhere.length > 0)
      return indicator.degraded({ reason: `ENCRYPTION_KEYS lacks ${wrappedElsewhere.join(', ')}` });
    return indicator.up();
  }
}
