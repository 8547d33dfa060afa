import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { KeyController } from './key.controller.js';
import { KeyService } from './key.service.js';

@Module({
  imports: [AuditModule, VaultModule],
  controllers: [KeyController],
  providers: [KeyService],
})
export class KeysModule {}
