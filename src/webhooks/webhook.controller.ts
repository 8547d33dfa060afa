import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CallerOf, ReadsQuery, Requires } from '../http/access.js';
import type { Caller } from '../http/caller.js';
import { Answers } from '../http/description.js';
import { DeliveryAnswer, ReceiverAnswer, ResentAnswer } from './webhook-answer.js';
import { DeliveryQuery, ResendShape } from './webhook-query.js';
import { WebhookService } from './webhook.service.js';

@Controller('v1/webhooks')
export class WebhookController {
  constructor(private readonly webhooks: WebhookService) {}

  @Get()
  @Requires('provider:admin')
  @Answers('List the receivers of events', { itemsOf: ReceiverAnswer })
  async list(): Promise<{ items: ReceiverAnswer[]; next_cursor: null }> {
    return { items: await this.webhooks.list(), next_cursor: null };
  }

  @Get(':receiver/deliveries')
  @Requires('provider:admin')
  @ReadsQuery()
  @Answers('List what a receiver was told, is to be told, or could not be told', { itemsOf: DeliveryAnswer })
  async deliveries(
    @Param('receiver') receiver: string,
    @Query() query: DeliveryQuery,
  ): Promise<{ items: DeliveryAnswer[]; next_cursor: string | null }> {
    return this.webhooks.deliveries(receiver, query);
  }

  @Post(':receiver/resume')
  @HttpCode(200)
  @Requires('provider:admin')
  @Answers('Tell a receiver events again that had answered 410', ReceiverAnswer)
  async resume(@Param('receiver') receiver: string, @CallerOf() caller: Caller): Promise<ReceiverAnswer> {
    return this.webhooks.resume(receiver, caller);
  }

  @Post(':receiver/resend')
  @HttpCode(200)
  @Requires('provider:admin')
  @Answers('Send again what was given up', ResentAnswer)
  async resend(
    @Param('receiver') receiver: string,
    @Body() body: ResendShape,
    @CallerOf() caller: Caller,
  ): Promise<ResentAnswer> {
    return { resent: await this.webhooks.resend(receiver, body, caller) };
  }
}
