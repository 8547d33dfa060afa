import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Upstream } from '../provider/upstream.js';
import { FyndPlatformProvider } from './fynd-platform.provider.js';

/** The configured providers of kind `fynd-platform`, and which of them a browser's parameters mean. */
@Injectable()
export class FyndPlatformProviders {
  readonly #providers: readonly FyndPlatformProvider[];

  constructor(@Inject(SETTINGS) settings: Settings, registry: ProviderRegistry, upstream: Upstream) {
    this.#providers = settings.providers
      .filter((provider) => provider.kind === 'fynd-platform')
      .map((provider) => new FyndPlatformProvider(provider, upstream));
    for (const provider of this.#providers) registry.register(provider);
  }

  /**
   * The one provider with this client_id and, where a cluster came from outside, on this origin. What came from outside
   * selects among what is configured and is never used itself. Undefined where none or several fit.
   */
  select(clientId: string, clusterUrl: string | undefined): FyndPlatformProvider | undefined {
    const origin = clusterUrl === undefined ? undefined : originOf(clusterUrl);
    const fitting = this.#providers.filter(
      ({ settings }) =>
        settings.apiKey === clientId &&
        (clusterUrl === undefined || new URL(settings.baseUrl).origin === origin),
    );
    return fitting.length === 1 ? fitting[0] : undefined;
  }

  byName(name: string): FyndPlatformProvider | undefined {
    return this.#providers.find((provider) => provider.name === name);
  }
}

function originOf(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : null;
  return url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
    ? url.origin
    : undefined;
}
