import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ArrayMaxSize, IsArray, IsOptional, IsString, Matches } from 'class-validator';
import { Requires, SubjectOf } from '../clients/access.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { AuthorizeLinks } from './authorize-link.js';
import { ConsentProviders } from './consent-providers.js';
import { isSafePath } from './landing.js';

/** They lie in a cookie while the seller consents, and a browser takes no cookie above 4 KB. */
const MOST_SCOPE_CHARACTERS = 1_000;

/** What a link may ask for beside what the provider is configured with. */
class LinkShape {
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  // No separator of any dialect.
  @Matches(/^[!-+\--~]{1,256}$/, { each: true, message: 'must be scopes, without spaces or commas' })
  scopes?: string[];
  @IsOptional() @IsString() redirect_path?: string;
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
    @Body() { scopes = [], redirect_path: redirectPath }: LinkShape = {},
  ): Promise<{ url: string; expires_at: string }> {
    this.registry.get(name);
    const provider = this.providers.byName(name);
    if (!provider) {
      throw new Problem(
        'invalid_request',
        'A seller cannot consent to this provider: keep a credential instead.',
      );
    }
    if (scopes.join().length > MOST_SCOPE_CHARACTERS) {
      throw invalid('scopes', `must have at most ${MOST_SCOPE_CHARACTERS} characters in all`);
    }
    if (redirectPath !== undefined) {
      if (provider.settings.uiUrl === null)
        throw invalid('redirect_path', 'needs a ui_url, which this provider lacks');
      if (!isSafePath(redirectPath))
        throw invalid('redirect_path', 'must be a path on the ui_url, like /products');
    }
    const { url, expiresAt } = await this.links.create(
      { provider: name, companyId, scopes, ...(redirectPath === undefined ? {} : { redirectPath }) },
      provider.settings.publicUrl,
    );
    return { url, expires_at: expiresAt.toISOString() };
  }
}
