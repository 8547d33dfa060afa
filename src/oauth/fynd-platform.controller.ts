import { Controller, Get, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../http/access.js';
import { Answers, Reads, SENDS_BROWSER } from '../http/description.js';
import { Field, OptionalField, text } from '../shared/schema.js';
import { sellerOf } from '../http/caller.js';
import { BrowserError } from './browser-error.js';
import { BrowserQuery, type QueryValues } from './browser-query.js';
import { ConsentProviders } from './consent-providers.js';
import { ConsentService } from './consent.service.js';
import { arrive, depart, PAGES } from './journey.js';
import { FYND_CALLBACK_PATH } from './fynd-platform.provider.js';
import { PageFilter } from './page.filter.js';

/** Whose install it is. */
class InstallQuery {
  @Field(text('42')) readonly company_id!: string;
  @Field(text('5f0c…'), "The extension's api key.") readonly client_id!: string;
}

class BeginningQuery extends InstallQuery {
  @OptionalField(text('https://api.fynd.com'), 'Must be where this extension is configured.')
  readonly cluster_url?: string;
  @OptionalField(text('/products'), 'Where on the `ui_url` the seller ends up.')
  readonly redirect_path?: string;
  @OptionalField(text('000000000000000000000001')) readonly application_id?: string;
}

class CallbackQuery extends InstallQuery {
  @Field(text('…')) readonly code!: string;
  @Field(text('…'), 'As it was given at the install; its cookie must come along.') readonly state!: string;
}

/** The routes that Fynd sends a seller's browser to. They ignore parameters that they do not know. */
@Controller('fp')
@UseFilters(PageFilter)
export class FyndPlatformController {
  constructor(
    private readonly providers: ConsentProviders,
    private readonly consents: ConsentService,
  ) {}

  @Get('install')
  @Public('a seller begins: what comes of it is judged at the callback')
  @Reads({ query: BeginningQuery })
  @Answers('Begin an install', SENDS_BROWSER, ...PAGES)
  async install(@Query() values: QueryValues, @Res() reply: FastifyReply): Promise<void> {
    const query = new BrowserQuery(values, 'extension');
    const companyId = query.id('company_id');
    const clientId = query.text('client_id', 200);
    const redirectPath = query.optionalText('redirect_path', 1_000);
    const applicationId = query.optionalId('application_id');
    const provider = this.providers.selectExtension(clientId, query.optionalText('cluster_url', 500));
    if (!provider) throw BrowserError.unknownExtension();
    const departure = await this.consents.begin(provider, {
      companyId,
      ...(redirectPath === undefined ? {} : { redirectPath }),
      ...(applicationId === undefined ? {} : { applicationId }),
    });
    depart(reply, departure);
  }

  @Get('auth')
  @Public('a seller comes back from consent: the state and its cookie prove that')
  @Reads({ query: CallbackQuery })
  @Answers('End an install', SENDS_BROWSER, ...PAGES)
  async callback(
    @Query() values: QueryValues,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    // A look at an address spends nothing.
    if (request.method === 'HEAD') return void reply.status(200).send();
    const query = new BrowserQuery(values, 'extension');
    if (query.has('error')) throw BrowserError.denied('extension');
    const claims = { companyId: query.id('company_id'), clientId: query.text('client_id', 200) };
    const arrival = await this.consents.complete(
      {
        state: query.text('state', 200),
        code: query.text('code', 2_000),
        cookieHeader: request.headers.cookie,
        parameters: query.parameters(),
        path: FYND_CALLBACK_PATH,
        claims,
        actor: sellerOf(request),
      },
      'extension',
    );
    arrive(reply, arrival);
  }
}
