import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Database } from '../database/database.js';
import { Clock } from '../shared/clock.js';
import { within } from '../shared/within.js';

const PING = { name: 'health_ping', text: 'select 1' };
/** Whoever asks for a replica's health gives up soon, and must hear that it serves. Milliseconds. */
const PATIENCE_MS = 2_000;

/** Whether the database can be asked, and what that means for those who want tokens. */
@Injectable()
export class DatabaseReach {
  /** Monotonic milliseconds. */
  #reachedAt = -Infinity;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'cache'>,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** Throws Problem `store_unavailable`. */
  async ping(): Promise<void> {
    const at = this.clock.monotonic();
    await this.database.run(PING);
    this.#reachedAt = at;
  }

  /** `from_memory`: it is away, and not for longer than tokens that were read before are served without it. */
  async look(): Promise<'there' | 'from_memory' | 'away'> {
    const isThere = await within(
      this.ping().then(
        () => true,
        () => false,
      ),
      PATIENCE_MS,
    );
    if (isThere) return 'there';
    const awayMs = this.clock.monotonic() - this.#reachedAt;
    return awayMs < this.settings.cache.withoutDatabaseS * 1_000 ? 'from_memory' : 'away';
  }
}
