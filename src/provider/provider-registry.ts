import { Injectable } from '@nestjs/common';
import { Problem } from '../shared/problem.js';
import type { TokenProvider } from './token-provider.js';

/** The providers that are configured. Each kind's module registers its own; nobody else knows the kinds. */
@Injectable()
export class ProviderRegistry {
  readonly #providers = new Map<string, TokenProvider>();

  register(provider: TokenProvider): void {
    this.#providers.set(provider.name, provider);
  }

  /** Undefined where no such provider is configured (any more). */
  find(name: string): TokenProvider | undefined {
    return this.#providers.get(name);
  }

  /** Throws Problem `provider_not_found`. */
  get(name: string): TokenProvider {
    const provider = this.#providers.get(name);
    if (!provider)
      throw new Problem(
        'provider_not_found',
        'No provider of this name is configured and enabled; what is disabled is named in the log of the start.',
      );
    return provider;
  }

  /** By name. */
  all(): readonly TokenProvider[] {
    return [...this.#providers.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}
