import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { DataKeyStore } from './data-key.store.js';
import { KeyRing } from './key-ring.js';
import { Vault } from './vault.js';

@Module({
  imports: [DatabaseModule],
  providers: [DataKeyStore, KeyRing, Vault],
  exports: [KeyRing, Vault],
})
export class VaultModule {}
