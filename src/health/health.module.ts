import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { DatabaseModule } from '../database/database.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { TokenModule } from '../token/token.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { DatabaseReach } from './database-reach.js';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { ProcessGauges } from './process-gauges.js';
import { Readiness } from './readiness.js';

@Module({
  imports: [
    TerminusModule.forRoot({ logger: false }),
    DatabaseModule,
    TelemetryModule,
    TokenModule,
    VaultModule,
  ],
  controllers: [HealthController, MetricsController],
  providers: [DatabaseReach, Readiness, ProcessGauges],
})
export class HealthModule {}
