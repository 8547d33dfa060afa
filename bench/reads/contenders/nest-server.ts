import 'reflect-metadata';
import { applyDecorators, Controller, Get, Header, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { answerWith } from '../../companion-program.js';
import type { CannedAnswer } from '../../load/canned-answer.js';
import { ROUTE } from './route.js';

/** The same object every time, from a controller that does nothing else. A program of its own. */
answerWith(async ({ headers, body }: CannedAnswer): Promise<number> => {
  const answer = JSON.parse(body) as object;

  @Controller()
  class Hello {
    @Get(ROUTE)
    @applyDecorators(...Object.entries(headers).map(([name, value]) => Header(name, value)))
    answer(): object {
      return answer;
    }
  }

  @Module({ controllers: [Hello] })
  class HelloModule {}

  const app = await NestFactory.create<NestFastifyApplication>(HelloModule, new FastifyAdapter(), {
    logger: false,
  });
  await app.listen(0, '127.0.0.1');
  return Number(new URL(await app.getUrl()).port);
});
