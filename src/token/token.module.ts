import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { ClientsModule } from '../clients/clients.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { ProviderModule } from '../provider/provider.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { BatchedKeeps } from './batched-keeps.js';
import { CallsInFlight } from './calls-in-flight.js';
import { ConnectionAnswers } from './connection-answer.js';
import { ConnectionCensus } from './connection-census.js';
import { ConnectionOutlook } from './connection-outlook.js';
import { ConnectionTallies } from './connection-tallies.js';
import { ConnectionController } from './connection.controller.js';
import { ConnectionService } from './connection.service.js';
import { ConnectionStore } from './connection.store.js';
import { CredentialService } from './credential.service.js';
import { Exchanges } from './exchanges.js';
import { FailureKeeper } from './failure-keeper.js';
import { EngineGauges } from './engine-gauges.js';
import { GrantKeeper } from './grant-keeper.js';
import { LeaseStore } from './lease.store.js';
import { ObservationKeeper } from './observation-keeper.js';
import { ProviderController } from './provider.controller.js';
import { PaceStore } from './pace.store.js';
import { ProviderHealth } from './provider-health.js';
import { ProviderProbe } from './provider-probe.js';
import { ProviderService } from './provider.service.js';
import { ProviderStateStore } from './provider-state.store.js';
import { OwedRevocationStore } from './owed-revocation.store.js';
import { RevivalService } from './revival.service.js';
import { RevocationService } from './revocation.service.js';
import { ProofLimit } from './proof-limit.js';
import { RecentWrites } from './recent-writes.js';
import { RefusalStore } from './refusal.store.js';
import { RenewalAttempt } from './renewal-attempt.js';
import { RenewalClaims } from './renewal-claims.js';
import { RenewalSchedule } from './renewal-schedule.js';
import { TokenAnswers } from './token-answer.js';
import { TokenController } from './token.controller.js';
import { TokenRenewer } from './token-renewer.js';
import { DeadlineReminders } from './deadline-reminders.js';
import { DirectReads } from './direct-reads.js';
import { KeptAnswers } from './kept-answers.js';
import { ServingInHand } from './serving-in-hand.js';
import { TokenLookUps } from './token-look-ups.js';
import { TokensInHand } from './tokens-in-hand.js';
import { TokenService } from './token.service.js';
import { TracedAttempt } from './traced-attempt.js';
import { TracedTokens } from './traced-tokens.js';

@Module({
  imports: [
    AuditModule,
    ClientsModule,
    DatabaseModule,
    OutboxModule,
    ProviderModule,
    TelemetryModule,
    VaultModule,
  ],
  controllers: [TokenController, ConnectionController, ProviderController],
  providers: [
    RecentWrites,
    ConnectionStore,
    ProviderStateStore,
    CallsInFlight,
    PaceStore,
    BatchedKeeps,
    LeaseStore,
    RefusalStore,
    ProviderHealth,
    ProofLimit,
    Exchanges,
    GrantKeeper,
    FailureKeeper,
    RenewalClaims,
    { provide: RenewalAttempt, useClass: TracedAttempt },
    TokenRenewer,
    RenewalSchedule,
    DirectReads,
    ServingInHand,
    TokenLookUps,
    KeptAnswers,
    TokensInHand,
    TokenService,
    TokenAnswers,
    TracedTokens,
    ConnectionAnswers,
    ConnectionService,
    CredentialService,
    OwedRevocationStore,
    RevocationService,
    RevivalService,
    ConnectionCensus,
    ConnectionOutlook,
    ConnectionTallies,
    ObservationKeeper,
    ProviderProbe,
    ProviderService,
    EngineGauges,
    DeadlineReminders,
  ],
  exports: [
    ConnectionAnswers,
    ConnectionCensus,
    ConnectionOutlook,
    ConnectionStore,
    ConnectionTallies,
    Exchanges,
    GrantKeeper,
    ProviderStateStore,
    RenewalSchedule,
    RevocationService,
    TokenRenewer,
  ],
})
export class TokenModule {}
