import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CallerOf, ReadsQuery, Requires, SubjectOf } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import type { Subject } from '../shared/ids.js';
import { Secret } from '../shared/secret.js';
import { checkReport, ReportShape } from '../token/report.js';
import { readTokenQuery } from '../token/token-query.js';
import { SessionTokenService, type SessionTokenAnswer } from './session-token.service.js';

@Controller('v1/tokens/:provider/sessions/:sessionId')
export class SessionTokenController {
  constructor(private readonly tokens: SessionTokenService) {}

  @Get()
  @Requires('token:read-session')
  @ReadsQuery()
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
  @Requires('token:report')
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
