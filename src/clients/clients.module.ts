import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Authentication } from './authentication.js';
import { ClientGuard } from './client.guard.js';

@Module({
  providers: [Authentication, { provide: APP_GUARD, useClass: ClientGuard }],
  exports: [Authentication],
})
export class ClientsModule {}
