import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CallerOf, ReadsQuery, Requires } from '../http/access.js';
import type { Caller } from '../http/caller.js';
import { Answers, NOTHING } from '../http/description.js';
import { readCursor, writeCursor } from '../http/cursor.js';
import { DEFAULT_LIMIT } from '../http/list-query.js';
import { answerClient, answerIssued, ClientAnswer, IssuedClientAnswer } from './client-answer.js';
import { ClientShape } from '../config/client-shape.js';
import { ClientQuery, readEnd, readQuestion, RotationShape } from './client-shapes.js';
import { ClientService } from './client.service.js';

@Controller('v1/clients')
export class ClientController {
  constructor(private readonly clients: ClientService) {}

  @Post()
  @Requires('client:admin')
  @Answers('Make a client, and its first key', IssuedClientAnswer)
  async create(@Body() body: ClientShape, @CallerOf() caller: Caller): Promise<IssuedClientAnswer> {
    const { name, permissions, workload = null } = body;
    const expiresAt = readEnd(body.expires_at, this.clients.now);
    const { client, key } = await this.clients.create({ name, permissions, workload, expiresAt }, caller);
    return answerIssued(client, key);
  }

  @Get()
  @Requires('client:admin')
  @ReadsQuery()
  @Answers('List the clients, or those who may do something', { itemsOf: ClientAnswer })
  async list(@Query() query: ClientQuery): Promise<{ items: ClientAnswer[]; next_cursor: string | null }> {
    const after = query.cursor === undefined ? null : readCursor(query.cursor);
    const { items, nextAfter } = await this.clients.list(
      readQuestion(query),
      after,
      query.limit ?? DEFAULT_LIMIT,
    );
    return { items: items.map(answerClient), next_cursor: nextAfter && writeCursor(nextAfter) };
  }

  @Post(':clientId/rotate')
  @HttpCode(200)
  @Requires('client:admin')
  @Answers('Give a client another key', IssuedClientAnswer)
  async rotate(
    @Param('clientId') id: string,
    @Body() { overlap, expires_at }: RotationShape,
    @CallerOf() caller: Caller,
  ): Promise<IssuedClientAnswer> {
    const expiresAt = readEnd(expires_at, this.clients.now);
    const { client, key } = await this.clients.rotate(
      id,
      { overlapS: overlap ?? undefined, expiresAt },
      caller,
    );
    return answerIssued(client, key);
  }

  @Delete(':clientId')
  @HttpCode(204)
  @Requires('client:admin')
  @Answers('Delete a client; its keys end at once', NOTHING)
  async delete(@Param('clientId') id: string, @CallerOf() caller: Caller): Promise<void> {
    await this.clients.delete(id, caller);
  }
}
