import { Controller, Get, Query } from '@nestjs/common';
import { ReadsQuery, Requires } from '../http/access.js';
import { Answers } from '../http/description.js';
import { ExposedToken, FoundEvent } from './audit-answer.js';
import { AuditQuery, ExposureQuery } from './audit-query.js';
import { AuditSearch } from './audit-search.js';

@Controller('v1/audit-events')
export class AuditController {
  constructor(private readonly search: AuditSearch) {}

  @Get()
  @Requires('audit:read')
  @ReadsQuery()
  @Answers('Ask the trail, newest first', { itemsOf: FoundEvent })
  async find(@Query() query: AuditQuery): Promise<{ items: FoundEvent[]; next_cursor: string | null }> {
    return this.search.find(query);
  }

  @Get('exposure')
  @Requires('audit:read')
  @ReadsQuery()
  @Answers('Tell which tokens a caller got, and until when each is valid', { itemsOf: ExposedToken })
  async exposure(
    @Query() query: ExposureQuery,
  ): Promise<{ items: ExposedToken[]; next_cursor: string | null }> {
    return this.search.exposure(query);
  }
}
