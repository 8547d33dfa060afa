import { Body, Controller, Delete, Param, Post } from '@nestjs/common';
import { IsString, Length } from 'class-validator';
import { CallerOf, RequiresOnFound } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import { answerRevocation, type RevocationAnswer } from '../token/connection-answer.js';
import { Secret } from '../shared/secret.js';
import { SessionService } from './session.service.js';

class TicketShape {
  @IsString() @Length(1, 256) ticket!: string;
}

/** The 201 of a trade; the only time that the id is told. */
interface SessionAnswer {
  readonly session_id: string;
  readonly company_id: string;
  readonly user: { readonly id: string | null };
  readonly expires_at: string | null;
}

@Controller('v1/sessions')
export class SessionController {
  constructor(private readonly sessions: SessionService) {}

  @Post()
  @RequiresOnFound('token:read-session')
  async trade(@Body() { ticket }: TicketShape, @CallerOf() caller: Caller): Promise<SessionAnswer> {
    const { sessionId, session } = await this.sessions.trade(new Secret(ticket), caller);
    return {
      session_id: sessionId.reveal(),
      company_id: session.companyId,
      user: { id: session.userId },
      expires_at: session.expiresAt?.toISOString() ?? null,
    };
  }

  @Delete(':sessionId')
  @RequiresOnFound('token:read-session')
  async revoke(@Param('sessionId') sessionId: string, @CallerOf() caller: Caller): Promise<RevocationAnswer> {
    return answerRevocation(await this.sessions.revoke(new Secret(sessionId), caller));
  }
}
