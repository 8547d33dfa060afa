import { HttpModule } from '@nestjs/axios';
import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { AddressLimit } from './address-limit.js';
import { Authentication } from './authentication.js';
import { CALLER_POLICIES, CallerLimits, GENEROUS_POLICIES } from './caller-limits.js';
import { ClientDirectory } from './client-directory.js';
import { ClientController } from './client.controller.js';
import { ClientGuard } from './client.guard.js';
import { ClientService } from './client.service.js';
import { ClientStore } from './client.store.js';
import { CredentialLookUps } from './credential-look-ups.js';
import { FileClients } from './file-clients.js';
import { IssuerDocuments } from './issuer-documents.js';
import { LastUses } from './last-uses.js';
import { WorkloadIdentity } from './workload-identity.js';

@Module({
  imports: [AuditModule, DatabaseModule, HttpModule, TelemetryModule],
  controllers: [ClientController],
  providers: [
    AddressLimit,
    Authentication,
    CallerLimits,
    ClientDirectory,
    ClientGuard,
    ClientService,
    ClientStore,
    CredentialLookUps,
    FileClients,
    IssuerDocuments,
    LastUses,
    WorkloadIdentity,
    { provide: CALLER_POLICIES, useValue: GENEROUS_POLICIES },
  ],
  exports: [Authentication, CallerLimits, ClientGuard],
})
export class ClientsModule {}
