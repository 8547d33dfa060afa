import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CallerOf, ReadsQuery, Requires, SubjectOf } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import type { Subject } from '../shared/ids.js';
import { checkReport, ReportShape } from './report.js';
import { TokenAnswers, type TokenAnswer } from './token-answer.js';
import { readTokenQuery } from './token-query.js';
import { TokenService } from './token.service.js';

@Controller('v1/tokens/:provider/companies/:companyId')
export class TokenController {
  constructor(
    private readonly tokens: TokenService,
    private readonly answers: TokenAnswers,
  ) {}

  @Get()
  @Requires('token:read')
  @ReadsQuery()
  async ofCompany(
    @SubjectOf() subject: Subject,
    @Query() query: Record<string, unknown>,
    @CallerOf() caller: Caller,
  ): Promise<TokenAnswer> {
    const { wish } = readTokenQuery(query, false);
    return this.answers.of(await this.tokens.fetch(subject, wish, false, caller));
  }

  @Get('locations/:locationId')
  @Requires('token:read')
  @ReadsQuery()
  async ofLocation(
    @SubjectOf() subject: Subject,
    @Query() query: Record<string, unknown>,
    @CallerOf() caller: Caller,
  ): Promise<TokenAnswer> {
    const { wish, orCompany } = readTokenQuery(query, true);
    return this.answers.of(await this.tokens.fetch(subject, wish, orCompany, caller));
  }

  @Post(['report', 'locations/:locationId/report'])
  @HttpCode(200)
  @Requires('token:report')
  async report(
    @SubjectOf() subject: Subject,
    @Body() report: ReportShape,
    @CallerOf() caller: Caller,
  ): Promise<TokenAnswer> {
    checkReport(report);
    return this.answers.of(await this.tokens.report(subject, report.version, caller));
  }
}
