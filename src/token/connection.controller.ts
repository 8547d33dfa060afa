import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { CallerOf, ReadsQuery, Requires, RequiresOnFound, SubjectOf } from '../http/access.js';
import { Answers, OFFER, Reads } from '../http/description.js';
import type { Caller } from '../http/caller.js';
import type { Subject } from '../shared/ids.js';
import {
  answerRevocation,
  ConnectionAnswer,
  ConnectionAnswers,
  RevocationAnswer,
} from './connection-answer.js';
import { ConnectionQuery } from './connection-query.js';
import { ConnectionService } from './connection.service.js';
import { CredentialService } from './credential.service.js';
import { RevocationService } from './revocation.service.js';

/** Nothing is to be paused or resumed any more. */
const DEAD = ['reauthorization_required', 'connection_revoked'] as const;

@Controller('v1/connections')
export class ConnectionController {
  constructor(
    private readonly connections: ConnectionService,
    private readonly credentials: CredentialService,
    private readonly revocations: RevocationService,
    private readonly answers: ConnectionAnswers,
  ) {}

  @Get()
  @RequiresOnFound('connection:read')
  @ReadsQuery()
  @Answers('List the connections that the caller may read', { itemsOf: ConnectionAnswer })
  async list(
    @Query() query: ConnectionQuery,
    @CallerOf() caller: Caller,
  ): Promise<{ items: ConnectionAnswer[]; next_cursor: string | null }> {
    const { items, nextCursor } = await this.connections.list(query, caller);
    return { items: await this.answers.all(items), next_cursor: nextCursor };
  }

  @Get(':connectionId')
  @RequiresOnFound('connection:read')
  @Answers('Show a connection', ConnectionAnswer)
  async find(@Param('connectionId') id: string, @CallerOf() caller: Caller): Promise<ConnectionAnswer> {
    return this.answers.of(await this.connections.permitted(id, 'connection:read', caller));
  }

  @Delete(':connectionId')
  @RequiresOnFound('connection:write')
  @Answers('Revoke a connection, and tell the provider', RevocationAnswer, 'connection_revoked')
  async revoke(@Param('connectionId') id: string, @CallerOf() caller: Caller): Promise<RevocationAnswer> {
    await this.connections.permitted(id, 'connection:write', caller);
    return answerRevocation(await this.revocations.revoke(id, 'revoked_by_operator', caller));
  }

  @Post(':connectionId/pause')
  @HttpCode(200)
  @RequiresOnFound('connection:write')
  @Answers('Renew a connection no more; its token is served while it lives', ConnectionAnswer, ...DEAD)
  async pause(@Param('connectionId') id: string, @CallerOf() caller: Caller): Promise<ConnectionAnswer> {
    await this.connections.permitted(id, 'connection:write', caller);
    return this.answers.of(await this.connections.pause(id, caller));
  }

  @Post(':connectionId/resume')
  @HttpCode(200)
  @RequiresOnFound('connection:write')
  @Answers('Renew a connection again', ConnectionAnswer, ...DEAD)
  async resume(@Param('connectionId') id: string, @CallerOf() caller: Caller): Promise<ConnectionAnswer> {
    await this.connections.permitted(id, 'connection:write', caller);
    return this.answers.of(await this.connections.resume(id, caller));
  }

  @Post(':connectionId/renew')
  @HttpCode(200)
  @RequiresOnFound('connection:renew')
  @Answers(
    'Renew a connection now',
    ConnectionAnswer,
    'connection_paused',
    'connection_revoked',
    'not_renewable',
    'provider_unavailable',
  )
  async renew(@Param('connectionId') id: string, @CallerOf() caller: Caller): Promise<ConnectionAnswer> {
    await this.connections.permitted(id, 'connection:renew', caller);
    return this.answers.of(await this.connections.renew(id));
  }

  @Put([':provider/companies/:companyId', ':provider/companies/:companyId/locations/:locationId'])
  @Requires('connection:write')
  @Reads({ body: OFFER })
  @Answers(
    'Keep a credential, or a grant obtained elsewhere',
    ConnectionAnswer,
    'credential_rejected',
    'provider_misconfigured',
    'provider_protocol_error',
    'provider_unavailable',
  )
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
