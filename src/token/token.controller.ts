import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CallerOf, ReadsQuery, Requires, SubjectOf } from '../http/access.js';
import { Answers, Reads } from '../http/description.js';
import type { Caller } from '../http/caller.js';
import type { Subject } from '../shared/ids.js';
import { checkReport, ReportShape } from './report.js';
import { TokenAnswer } from './token-answer.js';
import { LocationTokenQueryShape, readTokenQuery, TokenQueryShape } from './token-query.js';
import { TracedTokens } from './traced-tokens.js';

/** Why no token is handed out. */
const UNSERVED = [
  'connection_not_found',
  'reauthorization_required',
  'scope_missing',
  'ttl_unsatisfiable',
  'connection_paused',
  'connection_revoked',
  'provider_misconfigured',
  'provider_protocol_error',
  'provider_unavailable',
] as const;

@Controller('v1/tokens/:provider/companies/:companyId')
export class TokenController {
  constructor(private readonly tokens: TracedTokens) {}

  @Get()
  @Requires('token:read')
  @ReadsQuery()
  @Reads({ query: TokenQueryShape })
  @Answers("Fetch a company's token", TokenAnswer, ...UNSERVED)
  async ofCompany(
    @SubjectOf() subject: Subject,
    @Query() query: Record<string, unknown>,
    @CallerOf() caller: Caller,
  ): Promise<TokenAnswer> {
    const { wish } = readTokenQuery(query, false);
    return this.tokens.fetch(subject, wish, false, caller);
  }

  @Get('locations/:locationId')
  @Requires('token:read')
  @ReadsQuery()
  @Reads({ query: LocationTokenQueryShape })
  @Answers("Fetch a location's token", TokenAnswer, ...UNSERVED)
  async ofLocation(
    @SubjectOf() subject: Subject,
    @Query() query: Record<string, unknown>,
    @CallerOf() caller: Caller,
  ): Promise<TokenAnswer> {
    const { wish, orCompany } = readTokenQuery(query, true);
    return this.tokens.fetch(subject, wish, orCompany, caller);
  }

  @Post(['report', 'locations/:locationId/report'])
  @HttpCode(200)
  @Requires('token:report')
  @Answers('Tell that the provider refused a token', TokenAnswer, ...UNSERVED, 'not_renewable')
  async report(
    @SubjectOf() subject: Subject,
    @Body() report: ReportShape,
    @CallerOf() caller: Caller,
  ): Promise<TokenAnswer> {
    checkReport(report);
    return this.tokens.report(subject, report.version, caller);
  }
}
