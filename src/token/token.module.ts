import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { ProviderModule } from '../provider/provider.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { ConnectionCensus } from './connection-census.js';
import { ConnectionController } from './connection.controller.js';
import { ConnectionService } from './connection.service.js';
import { ConnectionStore } from './connection.store.js';
import { CredentialService } from './credential.service.js';
import { EngineGauges } from './engine-gauges.js';
import { GrantKeeper } from './grant-keeper.js';
import { ObservationKeeper } from './observation-keeper.js';
import { ProviderController } from './provider.controller.js';
import { ProviderProbe } from './provider-probe.js';
import { ProviderService } from './provider.service.js';
import { ProviderStateStore } from './provider-state.store.js';
import { OwedRevocationStore } from './owed-revocation.store.js';
import { RevocationService } from './revocation.service.js';
import { ProofLimit } from './proof-limit.js';
import { RenewalAttempt } from './renewal-attempt.js';
import { RenewalGate } from './renewal-gate.js';
import { RenewalSchedule } from './renewal-schedule.js';
import { TokenAnswers } from './token-answer.js';
import { TokenController } from './token.controller.js';
import { TokenRenewer } from './token-renewer.js';
import { TokenService } from './token.service.js';

@Module({
  imports: [DatabaseModule, ProviderModule, TelemetryModule, VaultModule],
  controllers: [TokenController, ConnectionController, ProviderController],
  providers: [
    ConnectionStore,
    ProviderStateStore,
    ProofLimit,
    GrantKeeper,
    RenewalGate,
    RenewalAttempt,
    TokenRenewer,
    RenewalSchedule,
    TokenService,
    TokenAnswers,
    ConnectionService,
    CredentialService,
    OwedRevocationStore,
    RevocationService,
    ConnectionCensus,
    ObservationKeeper,
    ProviderProbe,
    ProviderService,
    EngineGauges,
  ],
  exports: [
    ConnectionStore,
    GrantKeeper,
    ProviderStateStore,
    RenewalSchedule,
    RevocationService,
    TokenRenewer,
  ],
})
export class TokenModule {}
