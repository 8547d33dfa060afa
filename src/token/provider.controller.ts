import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { CallerOf, Requires } from '../clients/access.js';
import type { Caller } from '../clients/caller.js';
import type { ProviderAnswer } from './provider-answer.js';
import { ProviderService } from './provider.service.js';

/** A provider after a probe, and what the probe came to. */
interface ProbedAnswer extends ProviderAnswer {
  readonly probe: { readonly connection_id: string | null; readonly outcome: string };
}

@Controller('v1/providers')
export class ProviderController {
  constructor(private readonly providers: ProviderService) {}

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

  @Post(':name/probe')
  @HttpCode(200)
  @Requires('provider:admin')
  async probe(@Param('name') name: string): Promise<ProbedAnswer> {
    const { answer, probe } = await this.providers.probe(name);
    return { ...answer, probe: { connection_id: probe.connectionId, outcome: probe.outcome } };
  }
}
