import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { markFound } from '../audit/audit-event.js';
import type { Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { TokenProvider } from '../provider/token-provider.js';
import { Problem } from '../shared/problem.js';
import { ConnectionCensus } from './connection-census.js';
import { allOf } from './connection-trail.js';
import { ObservationKeeper } from './observation-keeper.js';
import { answerProvider, type ProviderAnswer } from './provider-answer.js';
import { ProviderProbe, type Probe } from './provider-probe.js';
import { ProviderStateStore } from './provider-state.store.js';

/** What operators do with providers. */
@Injectable()
export class ProviderService implements OnApplicationBootstrap {
  readonly #logger = new Logger('Providers');

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly states: ProviderStateStore,
    private readonly census: ConnectionCensus,
    private readonly seen: ObservationKeeper,
    private readonly probes: ProviderProbe,
  ) {}

  /** Says what would otherwise be found out by callers alone; a database that is away at this moment is no reason to end. */
  async onApplicationBootstrap(): Promise<void> {
    const names = this.registry.all().map(({ name }) => name);
    const others = await this.census.listOthers(names).catch((error: unknown) => {
      if (error instanceof Problem) return [];
      throw error;
    });
    for (const name of others) {
      this.#logger.warn(`${name}: has connections and is not configured: nothing of it is served or renewed`);
    }
  }

  /** Every provider that is configured and enabled. */
  async list(): Promise<ProviderAnswer[]> {
    return this.#answer(this.registry.all());
  }

  /** Throws Problem `provider_not_found`. */
  async find(name: string): Promise<ProviderAnswer> {
    const [answer] = await this.#answer([this.registry.get(name)]);
    if (!answer) throw new Error('a provider that was asked for was not answered');
    return answer;
  }

  /** Nobody renews anything of it until it is resumed; tokens that live are served. Again is no error. */
  async pause(name: string, caller: Caller): Promise<ProviderAnswer> {
    const provider = this.#named(name, caller);
    if (await this.states.pause(provider.name, caller)) this.#logger.warn(`${name}: paused by ${caller.id}`);
    return this.find(name);
  }

  /** Again is no error. */
  async resume(name: string, caller: Caller): Promise<ProviderAnswer> {
    const provider = this.#named(name, caller);
    if (await this.states.resume(provider.name, caller)) this.#logger.log(`${name}: resumed by ${caller.id}`);
    return this.find(name);
  }

  /** Renews one connection of it now, whatever a pause says, and shows how it then stands. */
  async probe(name: string, caller: Caller): Promise<{ answer: ProviderAnswer; probe: Probe }> {
    const probe = await this.probes.of(this.#named(name, caller).name);
    return { answer: await this.find(name), probe };
  }

  #named(name: string, caller: Caller): TokenProvider {
    const provider = this.registry.get(name);
    markFound(caller, { resource: allOf(provider.name) });
    return provider;
  }

  async #answer(providers: readonly TokenProvider[]): Promise<ProviderAnswer[]> {
    const names = providers.map(({ name }) => name);
    await this.seen.write();
    const [states, tallies] = await Promise.all([this.states.list(names), this.census.glance(names)]);
    return providers.flatMap((provider) => {
      const state = states.get(provider.name);
      const tally = tallies.get(provider.name);
      return state && tally ? [answerProvider(provider, state, tally)] : [];
    });
  }
}
