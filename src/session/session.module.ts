import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { ProviderModule } from '../provider/provider.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { SessionController } from './session.controller.js';
import { SessionService } from './session.service.js';
import { SessionStore } from './session.store.js';
import { SessionTokenController } from './session-token.controller.js';
import { SessionTokenService } from './session-token.service.js';

@Module({
  imports: [AuditModule, DatabaseModule, ProviderModule, TelemetryModule, VaultModule],
  controllers: [SessionController, SessionTokenController],
  providers: [SessionStore, SessionService, SessionTokenService],
  exports: [SessionService],
})
export class SessionModule {}
