import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ClientCredentials } from '../client-credentials.js';
import { FaultPlayer, type Stage } from '../fault-player.js';
import { credentialsOf } from '../fields.js';
import type { SimulatedProvider, TokenState } from '../provider.js';
import { SettingsStore } from '../settings-store.js';
import { isClient } from './client.js';
import { ConsentPage } from './consent.js';
import { type CompanyEvent, companyEventSchema, notifyExtension } from './extension-webhooks.js';
import { FyndGrants, type TokenEndpoint } from './grants.js';
import { fyndDefaults, type FyndSettings, fyndSettingsSchema } from './settings.js';
import { describeCall, TokenEndpoints } from './token-endpoints.js';

const OAUTH = '/service/panel/authentication/v1.0/company/:company_id/oauth';
const DETAILS = '/service/panel/partners/v1.0/extensions/details/:api_key';

interface InCompany {
  Params: { company_id: string };
}

/** Fynd Platform: OAuth for one extension, its details, and an API that accepts the tokens. */
export class FyndPlatform implements SimulatedProvider {
  readonly name = 'fynd';
  readonly operations = ['authorize', 'exchange', 'renew'];
  readonly settings: SettingsStore<FyndSettings>;
  private readonly grants: FyndGrants;
  private readonly consent: ConsentPage;
  private readonly endpoints: TokenEndpoints;
  private readonly player: FaultPlayer;

  constructor(
    private readonly client: ClientCredentials,
    tokenTtl: number,
    stage: Stage,
  ) {
    this.settings = new SettingsStore(fyndDefaults(tokenTtl), fyndSettingsSchema);
    this.player = new FaultPlayer(stage, this.settings);
    this.grants = new FyndGrants(this.settings, stage.clock);
    this.consent = new ConsentPage(client.apiKey, this.settings, this.grants);
    this.endpoints = new TokenEndpoints(client, this.settings, this.grants, stage.clock);
  }

  addRoutes(app: FastifyInstance): void {
    app.get<InCompany>(`${OAUTH}/authorize`, (request, reply) => this.authorize(request, reply));
    for (const endpoint of ['token', 'offline-token'] as const) {
      app.post<InCompany>(`${OAUTH}/${endpoint}`, (request, reply) =>
        this.giveToken(endpoint, request, reply),
      );
    }
    app.get<{ Params: { api_key: string } }>(DETAILS, (request, reply) => this.giveDetails(request, reply));
    app.get('/service/platform/*', (request, reply) => this.giveResource(request, reply));
    this.addControlRoutes(app);
  }

  findToken(token: string): TokenState | null {
    return this.grants.find(token);
  }

  reset(): void {
    this.settings.reset();
    this.grants.reset();
  }

  private addControlRoutes(app: FastifyInstance): void {
    const options = { schema: { body: companyEventSchema } };
    app.post<{ Body: CompanyEvent }>(`/_simulator/${this.name}/uninstall`, options, async ({ body }) => {
      const { company_id } = body;
      const uninstalled = this.grants.uninstall(String(company_id));
      return { uninstalled, ...(await this.tellExtension(body, { company_id })) };
    });
    app.post<{ Body: CompanyEvent }>(`/_simulator/${this.name}/auto-install`, options, async ({ body }) => {
      const { company_id } = body;
      const code = this.consent.issueCode(String(company_id));
      return { code, ...(await this.tellExtension(body, { company_id, code })) };
    });
  }

  private async tellExtension({ notify, sign }: CompanyEvent, body: object): Promise<object> {
    if (notify === undefined) return {};
    return notifyExtension(notify, body, sign ? this.client.apiSecret : null);
  }

  private authorize(request: FastifyRequest<InCompany>, reply: FastifyReply): Promise<FastifyReply> {
    const { company_id } = request.params;
    const call = {
      provider: this.name,
      operation: 'authorize',
      dialect: null,
      company_id,
      username: null,
      grant_id: null,
      fingerprints: {},
    };
    const visit = {
      companyId: company_id,
      query: request.query,
      url: request.url,
      cookies: request.headers.cookie,
    };
    return this.player.runBrowserCall(call, reply, () => this.consent.perform(visit));
  }

  private giveToken(
    endpoint: TokenEndpoint,
    request: FastifyRequest<InCompany>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const asked = {
      endpoint,
      companyId: request.params.company_id,
      authorization: request.headers.authorization,
      fields: request.body,
    };
    return this.player.runTokenCall(describeCall(asked), reply, (offsetMs) =>
      this.endpoints.perform(asked, offsetMs),
    );
  }

  private giveDetails(
    request: FastifyRequest<{ Params: { api_key: string } }>,
    reply: FastifyReply,
  ): FastifyReply {
    if (!isClient(request.headers.authorization, this.client)) return unauthorized(reply);
    if (request.params.api_key !== this.client.apiKey) {
      return reply.code(404).send({ message: 'No such extension', status: 404, code: 'NOT_FOUND' });
    }
    const { extension_url, extension_scopes } = this.settings.current;
    return reply.send({
      extension_name: 'Simulated extension',
      base_url: extension_url,
      scope: extension_scopes,
    });
  }

  /** A living token opens its own company's paths, and those that name no company. */
  private giveResource(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const token = this.grants.livingToken(credentialsOf(request.headers.authorization, 'Bearer') ?? '');
    if (token === null) return unauthorized(reply);
    const asked = /\/company\/([^/?]+)/.exec(request.url)?.[1];
    if (asked !== undefined && asked !== encodeURIComponent(token.companyId)) {
      return reply.code(403).send({ message: 'Forbidden', status: 403, code: 'FORBIDDEN' });
    }
    const { companyId: company_id, kind, scopes: scope } = token;
    return reply.send({
      ok: true,
      company_id,
      kind,
      scope,
      ...(kind === 'online' && { user_id: token.userId }),
    });
  }
}

function unauthorized(reply: FastifyReply): FastifyReply {
  return reply.code(401).send({ message: 'Unauthorized', status: 401, code: 'UNAUTHORIZED' });
}
