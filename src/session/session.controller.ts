import { Body, Controller, Delete, Param, Post } from '@nestjs/common';
import { IsString, Length } from 'class-validator';
import { CallerOf, RequiresOnFound } from '../http/access.js';
import { Answers } from '../http/description.js';
import type { Caller } from '../http/caller.js';
import { answerRevocation, RevocationAnswer } from '../token/connection-answer.js';
import { Secret } from '../shared/secret.js';
import { Field, nullable, text, time } from '../shared/schema.js';
import { UserAnswer } from './session.js';
import { SessionService } from './session.service.js';

class TicketShape {
  @IsString()
  @Length(1, 256)
  @Field(text('JmX0r3…'), "From the address that the seller's browser came to; good once, for 60 seconds.")
  ticket!: string;
}

/** The 201 of a trade; the only time that the id is told. */
class SessionAnswer {
  @Field(text('3uJwC0PzRkq1hE9mXv2dTg'), 'A secret, kept in a cookie: whoever has it is that user.')
  readonly session_id!: string;
  @Field(text('42')) readonly company_id!: string;
  @Field(UserAnswer) readonly user!: UserAnswer;
  @Field(nullable(time())) readonly expires_at!: string | null;
}

@Controller('v1/sessions')
export class SessionController {
  constructor(private readonly sessions: SessionService) {}

  @Post()
  @RequiresOnFound('token:read-session')
  @Answers('Trade a ticket for a session', SessionAnswer, 'session_not_found')
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
  @Answers('End a session', RevocationAnswer)
  async revoke(@Param('sessionId') sessionId: string, @CallerOf() caller: Caller): Promise<RevocationAnswer> {
    return answerRevocation(await this.sessions.revoke(new Secret(sessionId), caller));
  }
}
