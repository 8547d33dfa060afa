import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { CallerOf, ReadsQuery, Requires, SubjectOf } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import type { Subject } from '../shared/ids.js';
import {
  answerRevocation,
  ConnectionAnswers,
  type ConnectionAnswer,
  type RevocationAnswer,
} from './connection-answer.js';
import { ConnectionQuery } from './connection-query.js';
import { ConnectionService } from './connection.service.js';
import { CredentialService } from './credential.service.js';
import { RevocationService } from './revocation.service.js';

@Controller('v1/connections')
export class ConnectionController {
  constructor(
    private readonly connections: ConnectionService,
    private readonly credentials: CredentialService,
    private readonly revocations: RevocationService,
    private readonly answers: ConnectionAnswers,
  ) {}

  @Get()
  @Requires('connection:read')
  @ReadsQuery()
  async list(
    @Query() query: ConnectionQuery,
  ): Promise<{ items: ConnectionAnswer[]; next_cursor: string | null }> {
    const { items, nextCursor } = await this.connections.list(query);
    return { items: await this.answers.all(items), next_cursor: nextCursor };
  }

  @Get(':connectionId')
  @Requires('connection:read')
  async find(@Param('connectionId') id: string): Promise<ConnectionAnswer> {
    return this.answers.of(await this.connections.find(id));
  }

  @Delete(':connectionId')
  @Requires('connection:write')
  async revoke(@Param('connectionId') id: string): Promise<RevocationAnswer> {
    return answerRevocation(await this.revocations.revoke(id, 'revoked_by_operator'));
  }

  @Post(':connectionId/pause')
  @HttpCode(200)
  @Requires('connection:write')
  async pause(@Param('connectionId') id: string): Promise<ConnectionAnswer> {
    return this.answers.of(await this.connections.pause(id));
  }

  @Post(':connectionId/resume')
  @HttpCode(200)
  @Requires('connection:write')
  async resume(@Param('connectionId') id: string): Promise<ConnectionAnswer> {
    return this.answers.of(await this.connections.resume(id));
  }

  @Post(':connectionId/renew')
  @HttpCode(200)
  @Requires('connection:renew')
  async renew(@Param('connectionId') id: string): Promise<ConnectionAnswer> {
    return this.answers.of(await this.connections.renew(id));
  }

  @Put([':provider/companies/:companyId', ':provider/companies/:companyId/locations/:locationId'])
  @Requires('connection:write')
  async keep(
    @SubjectOf() subject: Subject,
    @Body() body: unknown,
    @CallerOf() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ConnectionAnswer> {
    const { connection, created } = await this.credentials.keep(subject, body, caller);
    void reply.status(created ? 201 : 200);
    return this.answers.of(connection);
  }
}
