import { Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { endedCookies } from '../clients/browser-session.js';
import { SessionAuthentication } from '../clients/session-authentication.js';
import { CallerOf, Public, type KnownRequest } from '../http/access.js';
import type { Caller } from '../http/caller.js';
import { Answers, NOTHING } from '../http/description.js';
import { ConsoleSessionAnswer } from './session-answer.js';
import { SessionCaller } from './session-caller.js';
import { SignIn } from './sign-in.service.js';

const WHY_PUBLIC = 'it is how a browser becomes a caller, and tells nobody more than who that is';
const NOBODY: ConsoleSessionAnswer = {
  signed_in: false,
  client: null,
  permissions: [],
  providers: [],
  ends_at: null,
  until: null,
};

@Controller('console/session')
export class ConsoleSessionController {
  constructor(
    private readonly signIn: SignIn,
    private readonly authentication: SessionAuthentication,
    private readonly caller: SessionCaller,
  ) {}

  @Get()
  @Public(WHY_PUBLIC)
  @Answers('Tell who is signed in, and what they may do', ConsoleSessionAnswer)
  async show(@Req() request: KnownRequest): Promise<ConsoleSessionAnswer> {
    const session = request.caller && (await this.authentication.read(request));
    return request.caller && session ? this.caller.answer(request.caller, session) : NOBODY;
  }

  @Post()
  @HttpCode(200)
  @Public(WHY_PUBLIC)
  @Answers(
    'Sign a browser in by the credential in `Authorization`, or prolong the session in its cookie',
    ConsoleSessionAnswer,
    'unauthenticated',
    'forbidden',
    'invalid_request',
    'rate_limited',
    'store_unavailable',
  )
  async open(
    @Req() request: KnownRequest,
    @CallerOf() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ConsoleSessionAnswer> {
    const session = await this.signIn.open(request, caller);
    void reply.header('set-cookie', session.cookie);
    return this.caller.answer(caller, session);
  }

  @Delete()
  @HttpCode(204)
  @Public(WHY_PUBLIC)
  @Answers('Sign a browser out', NOTHING, 'forbidden', 'store_unavailable')
  async end(@Req() request: KnownRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    // Whatever else may fail of it.
    void reply.header('set-cookie', endedCookies());
    await this.signIn.end(request, request.caller);
  }
}
