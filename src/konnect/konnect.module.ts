import { Inject, Module } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { ProviderModule } from '../provider/provider.module.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Upstream } from '../provider/upstream.js';
import { KonnectProvider } from './konnect.provider.js';

@Module({ imports: [ProviderModule] })
export class KonnectModule {
  constructor(@Inject(SETTINGS) settings: Settings, registry: ProviderRegistry, upstream: Upstream) {
    for (const provider of settings.providers) {
      if (provider.kind === 'konnect') registry.register(new KonnectProvider(provider, upstream));
    }
  }
}
