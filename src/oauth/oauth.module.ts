import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { ProviderModule } from '../provider/provider.module.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { SessionModule } from '../session/session.module.js';
import { ConsentMetrics } from '../telemetry/consent-metrics.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { TokenModule } from '../token/token.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { AuthorizeLinkController } from './authorize-link.controller.js';
import { AuthorizeLinks } from './authorize-link.js';
import { AutoInstallService } from './auto-install.service.js';
import { ConsentKeeper } from './consent-keeper.js';
import { ConsentProviders } from './consent-providers.js';
import { ConsentService } from './consent.service.js';
import { ConsentStates } from './consent-state.js';
import { ConsumedStateStore } from './consumed-state.store.js';
import { FyndPlatformController } from './fynd-platform.controller.js';
import { FyndSignalController } from './fynd-signal.controller.js';
import { OAuth2Controller } from './oauth2.controller.js';
import { UninstallHintStore } from './uninstall-hint.store.js';
import { TokenTests } from './token-tests.js';
import { UninstallProof } from './uninstall-proof.js';
import { UninstallService } from './uninstall.service.js';

@Module({
  imports: [
    AuditModule,
    DatabaseModule,
    ProviderModule,
    SessionModule,
    TelemetryModule,
    TokenModule,
    VaultModule,
  ],
  controllers: [FyndPlatformController, FyndSignalController, OAuth2Controller, AuthorizeLinkController],
  providers: [
    AuthorizeLinks,
    ConsentProviders,
    ConsentStates,
    ConsumedStateStore,
    ConsentKeeper,
    ConsentService,
    AutoInstallService,
    UninstallHintStore,
    TokenTests,
    UninstallProof,
    UninstallService,
  ],
})
export class OAuthModule {
  constructor(registry: ProviderRegistry, providers: ConsentProviders, metrics: ConsentMetrics) {
    for (const provider of providers.all) {
      registry.register(provider);
      if (providers.byName(provider.name)) metrics.providerConfigured(provider.name);
    }
  }
}
