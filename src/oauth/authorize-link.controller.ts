import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ArrayMaxSize, IsArray, IsOptional, IsString, Matches } from 'class-validator';
import { Requires, SubjectOf } from '../clients/access.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { AuthorizeLinks, LONGEST_SCOPES } from './authorize-link.js';
import { ConsentProviders } from './consent-providers.js';
import { isSafePath } from './landing.js';

/** What a link may ask for beside what the provider is configured with; null is the same as nothing. */
class LinkShape {
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  // No separator of any dialect.
  @Matches(/^[!-+\--~]{1,256}$/, { each: true, message: 'must be scopes, without spaces or commas' })
  scopes?: string[] | null;
  @IsOptional() @IsString() redirect_path?: string | null;
}

@Controller('v1/connections/:provider/companies/:companyId/authorize-link')
export class AuthorizeLinkController {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly providers: ConsentProviders,
    private readonly links: AuthorizeLinks,
  ) {}

  @Post()
  @HttpCode(200)
  @Requires('connection:write')
  async create(
    @SubjectOf() { provider: name, companyId }: Subject,
    @Body() asked: LinkShape = {},
  ): Promise<{ url: string; expires_at: string }> {
    this.registry.get(name);
    const provider = this.providers.byName(name);
    if (!provider) {
      throw new Problem(
        'invalid_request',
        'A seller cannot consent to this provider: keep a credential with PUT instead.',
      );
    }
    const redirectPath = asked.redirect_path ?? null;
    if (redirectPath !== null) {
      if (provider.settings.uiUrl === null)
        throw invalid('redirect_path', 'needs a ui_url, which this provider lacks');
      if (!isSafePath(redirectPath))
        throw invalid('redirect_path', 'must be a path on the ui_url, like /products');
    }
    const link = await this.links.create(
      {
        provider: name,
        companyId,
        scopes: asked.scopes ?? [],
        ...(redirectPath === null ? {} : { redirectPath }),
      },
      provider.settings.publicUrl,
    );
    if (!link) throw invalid('scopes', `must have at most ${LONGEST_SCOPES} characters together`);
    return { url: link.url, expires_at: link.expiresAt.toISOString() };
  }
}
