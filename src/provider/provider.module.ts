import { Module } from '@nestjs/common';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { ProviderObservations } from './observations.js';
import { ProviderRegistry } from './provider-registry.js';
import { Upstream } from './upstream.js';

@Module({
  imports: [TelemetryModule],
  providers: [ProviderRegistry, ProviderObservations, Upstream],
  exports: [ProviderRegistry, ProviderObservations, Upstream],
})
export class ProviderModule {}
