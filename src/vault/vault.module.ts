import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { DataKeyStore } from './data-key.store.js';
import { DataKeys } from './data-keys.js';
import { KeyCensus } from './key-census.js';
import { KeyGauges } from './key-gauges.js';
import { KeyRing } from './key-ring.js';
import { Resealing } from './resealing.js';
import { SealedWork } from './sealed-work.js';
import { Vault } from './vault.js';

@Module({
  imports: [DatabaseModule, TelemetryModule],
  providers: [DataKeyStore, DataKeys, KeyCensus, KeyGauges, KeyRing, Resealing, SealedWork, Vault],
  exports: [DataKeys, KeyRing, Resealing, Vault],
})
export class VaultModule {}
