import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { markFound } from '../audit/audit-event.js';
import type { Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Problem } from '../shared/problem.js';
import { allOf } from './connection-trail.js';
import { ConnectionStore } from './connection.store.js';
import { ProviderStateStore } from './provider-state.store.js';

/** How long a dead grant keeps its sealed secrets, in seconds: 30 days. */
const KEPT_S = 30 * 86_400;
const LOOK_MS = 3_600_000;

/** What becomes of the dead: they are tried once more where that was a mistake, and forgotten after a month. */
@Injectable()
export class RevivalService {
  readonly #logger = new Logger('Providers');

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly states: ProviderStateStore,
    private readonly connections: ConnectionStore,
  ) {}

  /**
   * Has every grant tried once more, at the provider's pace, that was declared dead since then; how many those are. Where too
   * many refusals had stopped the provider it is asked again; an operator's pause stays. Throws Problem `provider_not_found`.
   */
  async revive(name: string, since: Date, caller: Caller): Promise<number> {
    const provider = this.registry.get(name);
    markFound(caller, { resource: allOf(provider.name) });
    const revived = await this.connections.revive(provider.name, since, caller);
    await this.states.goOn(provider.name, caller);
    this.#logger.warn(`${name}: ${revived} dead grants are tried once more, by ${caller.id}`);
    return revived;
  }

  /** Erases the secrets of what has been dead for 30 days. */
  @Interval(LOOK_MS)
  async forget(): Promise<void> {
    try {
      const forgotten = await this.connections.forgetDead(KEPT_S);
      if (forgotten > 0)
        this.#logger.log(`the secrets of ${forgotten} grants are erased that died 30 days ago`);
    } catch (error) {
      // In an hour again.
      if (!(error instanceof Problem)) throw error;
    }
  }
}
