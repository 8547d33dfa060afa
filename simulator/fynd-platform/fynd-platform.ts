import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { SimulatorClock } from '../clock.js';
import type { FaultPlayer } from '../fault-player.js';
import { credentialsOf } from '../fields.js';
import type { SimulatedProvider, TokenState } from '../provider.js';
import { SettingsStore } from '../settings-store.js';
import { type ClientCredentials, isClient } from './client-credentials.js';
import { ConsentPage } from './consent.js';
import { FyndGrants, type TokenEndpoint } from './grants.js';
import { fyndDefaults, type FyndSettings, fyndSettingsSchema } from './settings.js';
import { describeCall, TokenEndpoints } from './token-endpoints.js';

const OAUTH = '/service/panel/authentication/v1.0/company/:company_id/oauth';
const DETAILS = '/service/panel/partners/v1.0/extensions/details/:api_key';

interface InCompany {
  Params: { company_id: string };
}

const uninstallSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['company_id'],
  properties: { company_id: { type: ['string', 'integer'] } },
};

/** Fynd Platform: OAuth for one extension, its details, and an API that accepts the tokens. */
export class FyndPlatform implements SimulatedProvider {
  readonly name = 'fynd';
  readonly operations = ['authorize', 'exchange', 'renew'];
  readonly settings: SettingsStore<FyndSettings>;
  private readonly grants: FyndGrants;
  private readonly consent: ConsentPage;
  private readonly endpoints: TokenEndpoints;

  constructor(
    private readonly client: ClientCredentials,
    tokenTtl: number,
    private readonly player: FaultPlayer,
    clock: SimulatorClock,
  ) {
    this.settings = new SettingsStore(fyndDefaults(tokenTtl), fyndSettingsSchema);
    this.grants = new FyndGrants(this.settings, clock);
    this.consent = new ConsentPage(client.apiKey, this.settings, this.grants);
    this.endpoints = new TokenEndpoints(client, this.settings, this.grants, clock);
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
    app.post<{ Body: { company_id: string | number } }>(
      `/_simulator/${this.name}/uninstall`,
      { schema: { body: uninstallSchema } },
      ({ body }) => ({ uninstalled: this.grants.uninstall(String(body.company_id)) }),
    );
  }

  findToken(token: string): TokenState | null {
    return this.grants.find(token);
  }

  reset(): void {
    this.settings.reset();
    this.grants.reset();
  }

  private authorize(request: FastifyRequest<InCompany>, reply: FastifyReply): Promise<FastifyReply> {
    const { company_id } = request.params;
    const call = {
      provider: this.name,
      operation: 'authorize',
      dialect: null,
      company_id,
      username: null,
      fingerprints: {},
    };
    return this.player.runBrowserCall(call, reply, () =>
      this.consent.perform(company_id, request.query, request.url),
    );
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
