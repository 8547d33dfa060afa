import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ArrayMaxSize, IsArray, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import { AuditStore } from '../audit/audit.store.js';
import { CallerOf, Requires, SubjectOf } from '../http/access.js';
import { resourceOf, type Caller } from '../http/caller.js';
import { Answers } from '../http/description.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { Field, text, time } from '../shared/schema.js';
import { AuthorizeLinks, LONGEST_SCOPES } from './authorize-link.js';
import { ConsentProviders } from './consent-providers.js';
import { isSafePath } from './landing.js';

/** As for an install: it travels in the cookie of the consent, too. */
const LONGEST_PATH = 1_000;

/** What a link may ask for beside what the provider is configured with; null is the same as nothing. */
class LinkShape {
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(50)
  // No separator of any dialect.
  @Matches(/^[!-+\--~]{1,256}$/, { each: true, message: 'must be scopes, without spaces or commas' })
  @Field({ examples: [['company/orders']] }, 'Beside those that are configured.')
  scopes?: string[] | null;
  @IsOptional()
  @IsString()
  @MaxLength(LONGEST_PATH)
  @Field({ examples: ['/products'] }, 'Where on the `ui_url` the seller ends up.')
  redirect_path?: string | null;
}

class LinkAnswer {
  @Field(text('https://broker.example/oauth/connect/authorize?link=eyJhbGciOi'), 'For a seller: good once.')
  readonly url!: string;
  @Field(time(), 'In ten minutes.') readonly expires_at!: string;
}

@Controller('v1/connections/:provider/companies/:companyId/authorize-link')
export class AuthorizeLinkController {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly providers: ConsentProviders,
    private readonly links: AuthorizeLinks,
    private readonly audit: AuditStore,
  ) {}

  @Post()
  @HttpCode(200)
  @Requires('connection:write')
  @Answers('Make a link on which a seller consents', LinkAnswer)
  async create(
    @SubjectOf() subject: Subject,
    @CallerOf() caller: Caller,
    @Body() asked: LinkShape = {},
  ): Promise<LinkAnswer> {
    const { provider: name, companyId } = subject;
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
    await this.audit.writeAlone({
      actor: caller,
      action: 'connection:write',
      outcome: 'allowed',
      resource: resourceOf(subject),
      reason: 'link_made',
    });
    return { url: link.url, expires_at: link.expiresAt.toISOString() };
  }
}
