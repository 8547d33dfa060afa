import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { ClientsModule } from '../clients/clients.module.js';
import { ProviderModule } from '../provider/provider.module.js';
import { TokenModule } from '../token/token.module.js';
import { ConsoleController } from './console.controller.js';
import { ConsoleFiles } from './console-files.js';
import { OverviewController } from './overview.controller.js';
import { Overview } from './overview.service.js';
import { ConsoleSessionController } from './session.controller.js';
import { SessionCaller } from './session-caller.js';
import { SignIn } from './sign-in.service.js';

@Module({
  imports: [AuditModule, ClientsModule, ProviderModule, TokenModule],
  controllers: [ConsoleController, ConsoleSessionController, OverviewController],
  providers: [ConsoleFiles, Overview, SessionCaller, SignIn],
})
export class ConsoleModule {}
