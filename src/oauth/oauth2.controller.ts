import { Controller, Get, Param, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../http/access.js';
import { Answers, Reads, SENDS_BROWSER } from '../http/description.js';
import { Field, text } from '../shared/schema.js';
import { sellerOf } from '../http/caller.js';
import { BrowserError } from './browser-error.js';
import { BrowserQuery, type QueryValues } from './browser-query.js';
import { ConsentService } from './consent.service.js';
import { arrive, depart, PAGES } from './journey.js';
import { PageFilter } from './page.filter.js';

/** A link is a signed text with a company, scopes and a path in it. */
const LONGEST_LINK = 8_000;

/** RFC 6749 4.1.2.1, as far as it is not the seller who said no. */
const SERVER_IN_TROUBLE = new Set(['server_error', 'temporarily_unavailable']);

class LinkQuery {
  @Field(text('eyJhbGciOi…'), 'As an authorize-link has it.') readonly link!: string;
}

class ConsentQuery {
  @Field(text('…')) readonly code!: string;
  @Field(text('…'), 'As it was given at the beginning; its cookie must come along.') readonly state!: string;
}

/** The routes of every OAuth 2 provider for a seller's browser. They ignore parameters that they do not know. */
@Controller('oauth/:provider')
@UseFilters(PageFilter)
export class OAuth2Controller {
  constructor(private readonly consents: ConsentService) {}

  @Get('authorize')
  @Public('the link that an operator made proves who may begin')
  @Reads({ query: LinkQuery })
  @Answers('Begin a consent on a link', SENDS_BROWSER, ...PAGES)
  async authorize(
    @Param('provider') provider: string,
    @Query() values: QueryValues,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const link = new BrowserQuery(values, 'link').text('link', LONGEST_LINK);
    if (isLook(request)) return void reply.status(200).send();
    depart(reply, await this.consents.beginOnLink(provider, link));
  }

  @Get('callback')
  @Public('a seller comes back from consent: the state and its cookie prove that')
  @Reads({ query: ConsentQuery })
  @Answers('End a consent', SENDS_BROWSER, ...PAGES)
  async callback(
    @Param('provider') provider: string,
    @Query() values: QueryValues,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const query = new BrowserQuery(values, 'link');
    if (isLook(request)) return void reply.status(200).send();
    if (query.has('error')) throw refusalIn(query, this.consents.titleOf(provider));
    const arrival = await this.consents.complete(
      {
        state: query.text('state', 200),
        code: query.text('code', 4_000),
        cookieHeader: request.headers.cookie,
        parameters: query.parameters(),
        path: `/oauth/${provider}/callback`,
        claims: {},
        actor: sellerOf(request),
      },
      'link',
    );
    arrive(reply, arrival);
  }
}

/** Mail and chat programs look at an address before people do: a look uses nothing up. */
function isLook({ method }: FastifyRequest): boolean {
  return method === 'HEAD';
}

function refusalIn(query: BrowserQuery, title: string): BrowserError {
  const code = query.text('error', 100);
  if (code === 'access_denied') return BrowserError.denied('link');
  return SERVER_IN_TROUBLE.has(code)
    ? BrowserError.unavailable(title, null)
    : BrowserError.misconfigured(title);
}
