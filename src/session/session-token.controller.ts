import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CallerOf, ReadsQuery, Requires, SubjectOf } from '../http/access.js';
import { Answers, Reads } from '../http/description.js';
import type { Caller } from '../http/caller.js';
import type { Subject } from '../shared/ids.js';
import { Secret } from '../shared/secret.js';
import { checkReport, ReportShape } from '../token/report.js';
import { readTokenQuery, TokenQueryShape } from '../token/token-query.js';
import { SessionTokenAnswer, SessionTokenService } from './session-token.service.js';

/** Why no token is handed out. */
const UNSERVED = ['reauthorization_required', 'scope_missing', 'ttl_unsatisfiable'] as const;

@Controller('v1/tokens/:provider/sessions/:sessionId')
export class SessionTokenController {
  constructor(private readonly tokens: SessionTokenService) {}

  @Get()
  @Requires('token:read-session')
  @ReadsQuery()
  @Reads({ query: TokenQueryShape })
  @Answers("Fetch a user's own token", SessionTokenAnswer, ...UNSERVED)
  async fetch(
    @SubjectOf() subject: Subject,
    @Param('sessionId') sessionId: string,
    @Query() query: Record<string, unknown>,
    @CallerOf() caller: Caller,
  ): Promise<SessionTokenAnswer> {
    // The guard has read the company already.
    const others = Object.fromEntries(Object.entries(query).filter(([name]) => name !== 'company_id'));
    const { wish } = readTokenQuery(others, false);
    return this.tokens.fetch(subject, new Secret(sessionId), wish, caller);
  }

  @Post('report')
  @HttpCode(200)
  // It is answered with a user's own token.
  @Requires('token:report', 'token:read-session')
  @Answers(
    "Tell that the provider refused a user's token",
    SessionTokenAnswer,
    'reauthorization_required',
    'not_renewable',
  )
  async report(
    @SubjectOf() subject: Subject,
    @Param('sessionId') sessionId: string,
    @Body() report: ReportShape,
    @CallerOf() caller: Caller,
  ): Promise<SessionTokenAnswer> {
    checkReport(report);
    return this.tokens.report(subject, new Secret(sessionId), report.version, caller);
  }
}
