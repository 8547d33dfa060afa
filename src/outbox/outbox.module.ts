import { Module } from '@nestjs/common';
import { DatabaseModule } from '../database/database.module.js';
import { Outbox } from './outbox.store.js';

@Module({ imports: [DatabaseModule], providers: [Outbox], exports: [Outbox] })
export class OutboxModule {}
