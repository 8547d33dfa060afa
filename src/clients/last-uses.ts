import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { ClientStore } from './client.store.js';

const WRITE_MS = 10_000;

type Uses = Map<string, number>;

/** When keys, and workloads' clients, were last used here: written down now and then, and nobody waits for that. */
@Injectable()
export class LastUses {
  readonly #logger = new Logger('Clients');
  /** Monotonic milliseconds, by id. */
  readonly #keys: Uses = new Map();
  readonly #clients: Uses = new Map();

  constructor(
    private readonly store: ClientStore,
    private readonly clock: Clock,
  ) {}

  keyUsed(keyId: string, at: number): void {
    this.#keys.set(keyId, at);
  }

  workloadUsed(clientId: string, at: number): void {
    this.#clients.set(clientId, at);
  }

  /** What could not be written is kept for the next time. */
  @Interval(WRITE_MS)
  async write(): Promise<void> {
    try {
      await this.#writeAll(this.#keys, (ago) => this.store.touchKeys(ago));
      await this.#writeAll(this.#clients, (ago) => this.store.touchClients(ago));
    } catch (error) {
      if (!(error instanceof Problem))
        this.#logger.error(`the use of keys could not be noted: ${String(error)}`);
    }
  }

  async #writeAll(uses: Uses, write: (ago: Uses) => Promise<void>): Promise<void> {
    if (uses.size === 0) return;
    const written = [...uses];
    const now = this.clock.monotonic();
    await write(new Map(written.map(([id, at]) => [id, (now - at) / 1_000])));
    // What was used again meanwhile is still to be written.
    for (const [id, at] of written) if (uses.get(id) === at) uses.delete(id);
  }
}
