import { Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import type { Caller } from '../http/caller.js';
import { CallerOf, Requires } from '../http/access.js';
import { Answers, NOTHING } from '../http/description.js';
import { DataKeyAnswer, DataKeysAnswer, RewrappedKeysAnswer } from './key-answer.js';
import { KeyService } from './key.service.js';

@Controller('v1/keys')
export class KeyController {
  constructor(private readonly keys: KeyService) {}

  @Get()
  @Requires('key:admin')
  @Answers('List the data keys, and how far a rotation has come', DataKeysAnswer)
  async list(): Promise<DataKeysAnswer> {
    return this.keys.list();
  }

  @Post('rotate')
  @Requires('key:admin')
  @Answers('Seal with a new data key, and what is there anew', DataKeyAnswer, 'key_service_unavailable')
  async rotate(@CallerOf() caller: Caller): Promise<DataKeyAnswer> {
    return this.keys.rotate(caller);
  }

  @Post('rewrap')
  @HttpCode(200)
  @Requires('key:admin')
  @Answers(
    'Wrap every data key by the first key-encryption key',
    RewrappedKeysAnswer,
    'key_service_unavailable',
    'not_ready',
  )
  async rewrap(@CallerOf() caller: Caller): Promise<RewrappedKeysAnswer> {
    return this.keys.rewrap(caller);
  }

  @Delete(':keyId')
  @HttpCode(204)
  @Requires('key:admin')
  @Answers('Destroy a data key that nothing is sealed by', NOTHING, 'key_in_use')
  async destroy(@Param('keyId') id: string, @CallerOf() caller: Caller): Promise<void> {
    await this.keys.destroy(id, caller);
  }
}
