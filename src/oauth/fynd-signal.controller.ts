import { createHmac, timingSafeEqual } from 'node:crypto';
import { Body, Controller, HttpCode, Logger, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Public, ReadsAnything } from '../http/access.js';
import { rawBodyOf } from '../http/adapter.js';
import { Answers, Reads } from '../http/description.js';
import { sellerOf } from '../http/caller.js';
import { idFromJson } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { Field, OptionalField, flag, oneOf, text } from '../shared/schema.js';
import { AutoInstallService } from './auto-install.service.js';
import { ConsentProviders } from './consent-providers.js';
import type { FyndPlatformProvider } from './fynd-platform.provider.js';
import { UninstallService } from './uninstall.service.js';

class UninstallHint {
  @Field(text('42'), 'A text, or a number.') readonly company_id!: string;
  @OptionalField(text('5f0c…'), "The extension's api key; without it every extension is meant.")
  readonly client_id?: string;
}

class InstallCode extends UninstallHint {
  @Field(text('…')) readonly code!: string;
}

class AcceptedAnswer {
  @Field(oneOf(['accepted'])) readonly status!: 'accepted';
}

class InstalledAnswer {
  @Field(flag(true), 'False where the company has a living connection: that one is never replaced.')
  readonly installed!: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** What Fynd's servers tell an extension. Whoever says so: only a signature, or a proof, is believed. */
@Controller('fp')
export class FyndSignalController {
  readonly #logger = new Logger('Uninstall');

  constructor(
    private readonly providers: ConsentProviders,
    private readonly uninstalls: UninstallService,
    private readonly autoInstalls: AutoInstallService,
  ) {}

  /** One answer to everybody who sends JSON, whatever is in it: it must not tell who is a customer. */
  @Post('uninstall')
  @ReadsAnything()
  @HttpCode(202)
  @Public('a hint, which the broker proves by asking Fynd')
  @Reads({ body: UninstallHint })
  @Answers('Tell that a seller may have uninstalled', AcceptedAnswer)
  async uninstall(@Body() body: unknown, @Req() request: FastifyRequest): Promise<AcceptedAnswer> {
    const companyId = idFromJson(fieldsOf(body)['company_id']);
    if (companyId !== undefined) {
      const extensions = this.#meant(body).map(
        (provider) => [provider, isSigned(request, provider)] as const,
      );
      // Fynd has nothing to do with our troubles: the next renewal finds out, too.
      await this.uninstalls.hint(companyId, extensions).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        this.#logger.warn(`a hint of an uninstall could not be kept (${error.code})`);
      });
    }
    return { status: 'accepted' };
  }

  @Post('auto_install')
  @HttpCode(200)
  @Public('off unless configured; the signature proves that it is Fynd')
  @Reads({ body: InstallCode })
  @Answers(
    'Install without a browser',
    InstalledAnswer,
    'unauthenticated',
    'not_found',
    'credential_rejected',
    'provider_misconfigured',
    'provider_protocol_error',
    'provider_unavailable',
    'store_unavailable',
  )
  async autoInstall(@Body() body: unknown, @Req() request: FastifyRequest): Promise<InstalledAnswer> {
    const able = this.#meant(body).filter(({ settings }) => settings.autoInstall);
    if (able.length === 0) throw new Problem('not_found', 'There is nothing at this path.');
    const signed = able.filter((candidate) => isSigned(request, candidate));
    if (signed.length === 0) throw new Problem('unauthenticated', 'A valid x-fp-signature is required.');
    const fields = fieldsOf(body);
    const provider = this.#theOne(signed, fields);
    const companyId = idFromJson(fields['company_id']);
    if (companyId === undefined) throw invalid('company_id', 'must be an id');
    const { code } = fields;
    if (typeof code !== 'string' || !/^[\x21-\x7e]{1,2000}$/.test(code))
      throw invalid('code', 'must be a code');
    return { installed: await this.autoInstalls.install(provider, companyId, code, sellerOf(request)) };
  }

  /** One extension may be on several clusters under one secret: a code is good on one of them, and no other may see it. */
  #theOne(signed: readonly FyndPlatformProvider[], fields: Fields): FyndPlatformProvider {
    const [first, ...others] = signed;
    if (first && others.length === 0) return first;
    const { client_id: clientId, cluster_url: clusterUrl } = fields;
    const chosen =
      typeof clientId === 'string' && typeof clusterUrl === 'string'
        ? this.providers.selectExtension(clientId, clusterUrl)
        : undefined;
    if (chosen && signed.includes(chosen)) return chosen;
    throw invalid('cluster_url', 'must come with client_id: several extensions have this secret');
  }

  /** The extension that `client_id` names, where it comes; else all. */
  #meant(body: unknown): readonly FyndPlatformProvider[] {
    const clientId = fieldsOf(body)['client_id'];
    if (clientId === undefined) return this.providers.extensions;
    return this.providers.extensions.filter((provider) => provider.clientId === clientId);
  }
}

function fieldsOf(body: unknown): Fields {
  return typeof body === 'object' && body !== null ? (body as Fields) : {};
}

/** `x-fp-signature`: hex of HMAC-SHA256 over the body as it came, under the extension's secret. */
function isSigned(request: FastifyRequest, { settings }: FyndPlatformProvider): boolean {
  const given = request.headers['x-fp-signature'];
  const raw = rawBodyOf(request);
  if (typeof given !== 'string' || raw === undefined || !/^[0-9a-f]{64}$/i.test(given)) return false;
  const expected = createHmac('sha256', settings.apiSecret.current.reveal()).update(raw).digest();
  return timingSafeEqual(Buffer.from(given, 'hex'), expected);
}
