import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { AuditBuffer } from './audit-buffer.js';
import { AuditFlush } from './audit-flush.js';
import { AuditLines } from './audit-lines.js';
import { AuditParts } from './audit-parts.js';
import { AuditSearch } from './audit-search.js';
import { AuditController } from './audit.controller.js';
import { BufferBound } from './buffer-bound.js';
import { AuditStore } from './audit.store.js';
import { RequestTrace } from './request-trace.js';

@Module({
  imports: [DatabaseModule, TelemetryModule],
  controllers: [AuditController],
  providers: [
    AuditStore,
    AuditLines,
    BufferBound,
    AuditBuffer,
    AuditFlush,
    AuditParts,
    AuditSearch,
    RequestTrace,
  ],
  exports: [AuditStore, AuditBuffer, AuditFlush, RequestTrace],
})
export class AuditModule {}
