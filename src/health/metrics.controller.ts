import { Controller, Get, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Public } from '../http/access.js';
import { Answers } from '../http/description.js';
import { Metrics } from '../telemetry/metrics.js';

@Controller('metrics')
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get()
  @Public('Prometheus carries no key; no label names a company')
  @Answers('The metrics, as Prometheus reads them', { media: 'text/plain' })
  async expose(@Res() reply: FastifyReply): Promise<void> {
    const { contentType, text } = await this.metrics.exposition();
    void reply.type(contentType).send(text);
  }
}
