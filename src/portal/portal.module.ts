import { Inject, Module } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { ProviderModule } from '../provider/provider.module.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Clock } from '../shared/clock.js';
import { PortalProvider } from './portal.provider.js';

@Module({ imports: [ProviderModule] })
export class PortalModule {
  constructor(@Inject(SETTINGS) settings: Settings, registry: ProviderRegistry, @Inject(Clock) clock: Clock) {
    for (const provider of settings.providers) {
      if (provider.kind === 'portal') registry.register(new PortalProvider(provider, clock));
    }
  }
}
