import { Controller, Get } from '@nestjs/common';
import { CallerOf, Requires } from '../http/access.js';
import type { Caller } from '../http/caller.js';
import { Answers } from '../http/description.js';
import { OverviewAnswer } from './overview-answer.js';
import { Overview } from './overview.service.js';

@Controller('v1/overview')
export class OverviewController {
  constructor(private readonly overview: Overview) {}

  @Get()
  @Requires('connection:read')
  @Answers('Show how all connections stand', OverviewAnswer)
  async show(@CallerOf() caller: Caller): Promise<OverviewAnswer> {
    return this.overview.show(caller);
  }
}
