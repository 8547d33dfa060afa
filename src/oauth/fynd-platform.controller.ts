import { Controller, Get, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../clients/access.js';
import { isId } from '../shared/ids.js';
import { BrowserError } from './browser-error.js';
import { InstallService } from './install.service.js';
import { PageFilter } from './page.filter.js';
import { page, PAGE_HEADERS } from './page.js';

type BrowserQuery = Record<string, unknown>;

/** The routes that Fynd sends a seller's browser to. They ignore parameters that they do not know. */
@Controller('fp')
@UseFilters(PageFilter)
export class FyndPlatformController {
  constructor(private readonly installs: InstallService) {}

  @Get('install')
  @Public('a seller begins: what comes of it is judged at the callback')
  async install(@Query() query: BrowserQuery, @Res() reply: FastifyReply): Promise<void> {
    const { url, cookie } = await this.installs.begin({
      companyId: companyIn(query),
      clientId: textIn(query, 'client_id', 200),
      clusterUrl: optionalTextIn(query, 'cluster_url', 500),
      redirectPath: optionalTextIn(query, 'redirect_path', 1_000),
    });
    void reply.header('set-cookie', cookie).header('referrer-policy', 'no-referrer').redirect(url, 302);
  }

  @Get('auth')
  @Public('a seller comes back from consent: the state and its cookie prove that')
  async callback(
    @Query() query: BrowserQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (query['error'] !== undefined) throw BrowserError.denied();
    const companyId = companyIn(query);
    const { url, cookie } = await this.installs.complete({
      companyId,
      clientId: textIn(query, 'client_id', 200),
      state: textIn(query, 'state', 200),
      code: textIn(query, 'code', 2_000),
      cookieHeader: request.headers.cookie,
    });
    void reply.header('set-cookie', cookie).header('referrer-policy', 'no-referrer');
    if (url !== null) return void reply.redirect(url, 302);
    const text = `The extension can now work for company ${companyId}. You can close this page.`;
    void reply.headers(PAGE_HEADERS).send(page('The company is connected', text, null));
  }
}

function companyIn(query: BrowserQuery): string {
  const id = textIn(query, 'company_id', 64);
  if (isId(id)) return id;
  throw BrowserError.badRequest('company_id');
}

function textIn(query: BrowserQuery, name: string, longest: number): string {
  const text = optionalTextIn(query, name, longest);
  if (text !== undefined && text !== '') return text;
  throw BrowserError.badRequest(name);
}

/** A list means that it was given twice. */
function optionalTextIn(query: BrowserQuery, name: string, longest: number): string | undefined {
  const value = query[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.length <= longest) return value;
  throw BrowserError.badRequest(name);
}
