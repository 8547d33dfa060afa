import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { IsInt, IsPositive, Max } from 'class-validator';
import { CallerOf, ReadsQuery, Requires, SubjectOf } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import type { Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { TokenAnswers, type TokenAnswer } from './token-answer.js';
import { readTokenQuery } from './token-query.js';
import { TokenService } from './token.service.js';

class ReportShape {
  @IsInt() @IsPositive() @Max(2_147_483_647) version!: number;
  @IsInt() status!: number;
}

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
    if (report.status === 403) {
      throw new Problem(
        'not_renewable',
        'A 403 is about permission and not about age: a new token would not help.',
      );
    }
    if (report.status !== 401) throw invalid('status', 'must be 401, or 403 to learn why that does not help');
    return this.answers.of(await this.tokens.report(subject, report.version, caller));
  }
}
