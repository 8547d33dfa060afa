import { HttpModule } from '@nestjs/axios';
import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { OutboxModule } from '../outbox/outbox.module.js';
import { TelemetryModule } from '../telemetry/telemetry.module.js';
import { VaultModule } from '../vault/vault.module.js';
import { DeliveryStore } from './delivery.store.js';
import { OutboxRetention } from './outbox-retention.js';
import { ReceiverStore } from './receiver.store.js';
import { WebhookDelivery } from './webhook-delivery.js';
import { WebhookGauges } from './webhook-gauges.js';
import { WebhookMetrics } from './webhook-metrics.js';
import { WebhookRequest } from './webhook-request.js';
import { WebhookController } from './webhook.controller.js';
import { WebhookService } from './webhook.service.js';

@Module({
  imports: [AuditModule, DatabaseModule, HttpModule, OutboxModule, TelemetryModule, VaultModule],
  controllers: [WebhookController],
  providers: [
    DeliveryStore,
    OutboxRetention,
    ReceiverStore,
    WebhookDelivery,
    WebhookGauges,
    WebhookMetrics,
    WebhookRequest,
    WebhookService,
  ],
})
export class WebhooksModule {}
