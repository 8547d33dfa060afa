import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import { AuditModule } from './audit/audit.module.js';
import { ClientsModule } from './clients/clients.module.js';
import { ConfigModule } from './config/config.module.js';
import type { Settings } from './config/settings.js';
import { ConsoleModule } from './console/console.module.js';
import { DocsModule } from './docs/docs.module.js';
import { HealthModule } from './health/health.module.js';
import { ProblemFilter } from './http/problem.filter.js';
import { validationPipe } from './http/validation.js';
import { KeysModule } from './keys/keys.module.js';
import { KonnectModule } from './konnect/konnect.module.js';
import { OAuthModule } from './oauth/oauth.module.js';
import { PortalModule } from './portal/portal.module.js';
import { SessionModule } from './session/session.module.js';
import { Clock } from './shared/clock.js';
import { StartWatch } from './shared/start-watch.js';
import { TokenModule } from './token/token.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

/** The whole wiring. The kinds of provider that exist are those listed here; nobody else knows them. */
@Module({})
export class AppModule {
  static with(settings: Settings, clock = new Clock(), watch = new StartWatch()): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.with(settings, clock, watch),
        ScheduleModule.forRoot(),
        AuditModule,
        ClientsModule,
        TokenModule,
        SessionModule,
        OAuthModule,
        KonnectModule,
        PortalModule,
        WebhooksModule,
        KeysModule,
        HealthModule,
        DocsModule,
        ConsoleModule,
      ],
      providers: [
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_PIPE, useValue: validationPipe },
      ],
    };
  }
}
