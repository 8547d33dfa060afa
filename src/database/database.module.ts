import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { connectDatabase } from './connect.js';
import { Database } from './database.js';
import { Notifications } from './notifications.js';

@Module({
  providers: [
    {
      provide: DataSource,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => connectDatabase(settings.database),
    },
    Database,
    Notifications,
  ],
  exports: [DataSource, Database, Notifications],
})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(@Inject(DataSource) private readonly dataSource: DataSource) {}

  async onApplicationShutdown(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }
}
