import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { CallerOf, Requires } from '../http/access.js';
import { Answers } from '../http/description.js';
import type { Caller } from '../http/caller.js';
import { ProbedAnswer, ProviderAnswer, RevivedAnswer } from './provider-answer.js';
import { ProviderService } from './provider.service.js';
import { RevivalService } from './revival.service.js';
import { ReviveShape } from './revive.js';

@Controller('v1/providers')
export class ProviderController {
  constructor(
    private readonly providers: ProviderService,
    private readonly revivals: RevivalService,
  ) {}

  @Get()
  @Requires('provider:admin')
  @Answers('List the providers', { itemsOf: ProviderAnswer })
  async list(): Promise<{ items: ProviderAnswer[]; next_cursor: null }> {
    return { items: await this.providers.list(), next_cursor: null };
  }

  @Post(':name/pause')
  @HttpCode(200)
  @Requires('provider:admin')
  @Answers('Pause a provider', ProviderAnswer)
  async pause(@Param('name') name: string, @CallerOf() caller: Caller): Promise<ProviderAnswer> {
    return this.providers.pause(name, caller);
  }

  @Post(':name/resume')
  @HttpCode(200)
  @Requires('provider:admin')
  @Answers('Resume a provider', ProviderAnswer)
  async resume(@Param('name') name: string, @CallerOf() caller: Caller): Promise<ProviderAnswer> {
    return this.providers.resume(name, caller);
  }

  @Post(':name/revive')
  @HttpCode(200)
  @Requires('provider:admin')
  @Answers('Try dead grants once more', RevivedAnswer)
  async revive(
    @Param('name') name: string,
    @Body() { since }: ReviveShape,
    @CallerOf() caller: Caller,
  ): Promise<RevivedAnswer> {
    const revived = await this.revivals.revive(name, new Date(since), caller);
    return { ...(await this.providers.find(name)), revived };
  }

  @Post(':name/probe')
  @HttpCode(200)
  @Requires('provider:admin')
  @Answers('See how a provider is, by one renewal', ProbedAnswer)
  async probe(@Param('name') name: string, @CallerOf() caller: Caller): Promise<ProbedAnswer> {
    const { answer, probe } = await this.providers.probe(name, caller);
    return { ...answer, probe: { connection_id: probe.connectionId, outcome: probe.outcome } };
  }
}
