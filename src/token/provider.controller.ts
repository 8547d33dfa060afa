import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { CallerOf, Requires } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import type { ProviderAnswer } from './provider-answer.js';
import { ProviderService } from './provider.service.js';
import { RevivalService } from './revival.service.js';
import { readSince, ReviveShape } from './revive.js';

/** A provider after a probe, and what the probe came to. */
interface ProbedAnswer extends ProviderAnswer {
  readonly probe: { readonly connection_id: string | null; readonly outcome: string };
}

@Controller('v1/providers')
export class ProviderController {
  constructor(
    private readonly providers: ProviderService,
    private readonly revivals: RevivalService,
  ) {}

  @Get()
  @Requires('provider:admin')
  async list(): Promise<{ items: ProviderAnswer[]; next_cursor: null }> {
    return { items: await this.providers.list(), next_cursor: null };
  }

  @Post(':name/pause')
  @HttpCode(200)
  @Requires('provider:admin')
  async pause(@Param('name') name: string, @CallerOf() caller: Caller): Promise<ProviderAnswer> {
    return this.providers.pause(name, caller);
  }

  @Post(':name/resume')
  @HttpCode(200)
  @Requires('provider:admin')
  async resume(@Param('name') name: string, @CallerOf() caller: Caller): Promise<ProviderAnswer> {
    return this.providers.resume(name, caller);
  }

  @Post(':name/revive')
  @HttpCode(200)
  @Requires('provider:admin')
  async revive(
    @Param('name') name: string,
    @Body() body: ReviveShape,
    @CallerOf() caller: Caller,
  ): Promise<ProviderAnswer & { revived: number }> {
    const revived = await this.revivals.revive(name, readSince(body), caller);
    return { ...(await this.providers.find(name)), revived };
  }

  @Post(':name/probe')
  @HttpCode(200)
  @Requires('provider:admin')
  async probe(@Param('name') name: string): Promise<ProbedAnswer> {
    const { answer, probe } = await this.providers.probe(name);
    return { ...answer, probe: { connection_id: probe.connectionId, outcome: probe.outcome } };
  }
}
