import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { ProviderModule } from '../provider/provider.module.js';
import { TokenModule } from '../token/token.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { ConsumedStateStore } from './consumed-state.store.js';
import { FyndPlatformController } from './fynd-platform.controller.js';
import { FyndPlatformProviders } from './fynd-platform.providers.js';
import { InstallService } from './install.service.js';
import { InstallStates } from './install-state.js';

@Module({
  imports: [DatabaseModule, ProviderModule, TokenModule, VaultModule],
  controllers: [FyndPlatformController],
  providers: [FyndPlatformProviders, InstallStates, ConsumedStateStore, InstallService],
})
export class OAuthModule {}
