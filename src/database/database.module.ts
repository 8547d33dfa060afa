import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { StartWatch } from '../shared/start-watch.js';
import { pooledAddress } from './address.js';
import { connectDatabase } from './connect.js';
import { ConnectionBudget } from './connection-budget.js';
import { createPublicPool } from './data-source.js';
import { Database, PUBLIC_POOL } from './database.js';
import { Notifications } from './notifications.js';
import { ReplicaCaches } from './replica-cache.js';

@Module({
  providers: [
    {
      provide: DataSource,
      inject: [SETTINGS, StartWatch],
      useFactory: (settings: Settings, watch: StartWatch) => connectDatabase(settings.database, watch),
    },
    {
      provide: PUBLIC_POOL,
      inject: [SETTINGS],
      useFactory: ({ publicPort, database }: Settings) =>
        publicPort === null ? null : createPublicPool(pooledAddress(database)),
    },
    Database,
    Notifications,
    ReplicaCaches,
    ConnectionBudget,
  ],
  exports: [DataSource, Database, Notifications, ReplicaCaches],
})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(PUBLIC_POOL) private readonly publicPool: Pool | null,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.publicPool?.end();
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }
}
