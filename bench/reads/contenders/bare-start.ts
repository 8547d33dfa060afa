import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DataSource } from 'typeorm';
import { answerWith } from '../../companion-program.js';

@Controller()
class ReadyController {
  constructor(private readonly database: DataSource) {}

  @Get('health/ready')
  async ready(): Promise<object> {
    await this.database.query('select 1');
    return { status: 'ok' };
  }
}

/** What any service of this kind starts: Nest, Fastify and TypeORM on a database. A program of its own. */
answerWith(async (databaseUrl: string): Promise<number> => {
  const connect = (): Promise<DataSource> =>
    new DataSource({ type: 'postgres', url: databaseUrl }).initialize();

  @Module({ controllers: [ReadyController], providers: [{ provide: DataSource, useFactory: connect }] })
  class BareModule {}

  const app = await NestFactory.create<NestFastifyApplication>(BareModule, new FastifyAdapter(), {
    logger: false,
  });
  await app.listen(0, '127.0.0.1');
  return Number(new URL(await app.getUrl()).port);
});
