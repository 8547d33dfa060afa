import { HttpModule } from '@nestjs/axios';
import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { AddressLimit } from './address-limit.js';
import { AdminKey } from './admin-key.js';
import { Authentication } from './authentication.js';
import { BrowserSessions } from './browser-session.js';
import { CALLER_POLICIES, CallerLimits, GENEROUS_POLICIES } from './caller-limits.js';
import { ClientDirectory } from './client-directory.js';
import { ClientController } from './client.controller.js';
import { ClientGuard } from './client.guard.js';
import { ClientService } from './client.service.js';
import { ClientStore } from './client.store.js';
import { CredentialLookUps } from './credential-look-ups.js';
import { EndedSessions } from './ended-sessions.js';
import { FileClients } from './file-clients.js';
import { IssuerDocuments } from './issuer-documents.js';
import { LastUses } from './last-uses.js';
import { SessionAuthentication } from './session-authentication.js';
import { WorkloadIdentity } from './workload-identity.js';

@Module({
  imports: [AuditModule, DatabaseModule, HttpModule, TelemetryModule, VaultModule],
  controllers: [ClientController],
  providers: [
    AddressLimit,
    AdminKey,
    Authentication,
    BrowserSessions,
    CallerLimits,
    ClientDirectory,
    ClientGuard,
    ClientService,
    ClientStore,
    CredentialLookUps,
    EndedSessions,
    FileClients,
    IssuerDocuments,
    LastUses,
    SessionAuthentication,
    WorkloadIdentity,
    { provide: CALLER_POLICIES, useValue: GENEROUS_POLICIES },
  ],
  exports: [
    Authentication,
    BrowserSessions,
    CallerLimits,
    ClientGuard,
    ClientStore,
    EndedSessions,
    SessionAuthentication,
    WorkloadIdentity,
  ],
})
export class ClientsModule {}
