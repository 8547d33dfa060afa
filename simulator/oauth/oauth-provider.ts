import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { jsonAnswer } from '../answer.js';
import type { ClientCredentials } from '../client-credentials.js';
import { FaultPlayer, type Stage } from '../fault-player.js';
import { credentialsOf, textField } from '../fields.js';
import type { TokenCall } from '../ledger.js';
import type { SimulatedProvider, TokenState } from '../provider.js';
import { fingerprint } from '../secrets.js';
import { SettingsStore } from '../settings-store.js';
import { AuthorizationEndpoint } from './authorize.js';
import type { Dialect } from './dialect.js';
import { type Grant, ids, OAuthGrants } from './grants.js';
import { metadataOf } from './metadata.js';
import { oauthDefaults, type OAuthSettings, oauthSettingsSchema } from './settings.js';
import { type ClientCall, TokenEndpoint } from './token-endpoint.js';

/** An OAuth 2 provider in one dialect: its endpoints, and a resource that accepts its living tokens. */
export class OAuthProvider implements SimulatedProvider {
  readonly name: string;
  readonly operations: readonly string[];
  readonly settings: SettingsStore<OAuthSettings>;
  private readonly player: FaultPlayer;
  private readonly grants: OAuthGrants;
  private readonly authorization: AuthorizationEndpoint;
  private readonly tokens: TokenEndpoint;

  constructor(
    private readonly dialect: Dialect,
    client: ClientCredentials,
    tokenTtl: number,
    stage: Stage,
  ) {
    this.name = dialect.name;
    this.operations = [
      'authorize',
      'exchange',
      'renew',
      'client_credentials',
      ...(dialect.revokePath === null ? [] : ['revoke']),
      ...(dialect.metadataPath === null ? [] : ['discovery']),
    ];
    this.settings = new SettingsStore(oauthDefaults(tokenTtl, dialect.settings), oauthSettingsSchema);
    this.player = new FaultPlayer(stage, this.settings);
    this.grants = new OAuthGrants(this.name, this.settings, stage.clock);
    this.authorization = new AuthorizationEndpoint(client.apiKey, this.settings, this.grants);
    this.tokens = new TokenEndpoint(dialect, client, this.settings, this.grants, stage.clock);
  }

  addRoutes(app: FastifyInstance): void {
    const { authorizePath, tokenPath, resourcePath, revokePath, metadataPath } = this.dialect;
    app.get(authorizePath, (request, reply) => this.authorize(request, reply));
    app.post(tokenPath, (request, reply) => this.giveToken(request, reply));
    app.get(resourcePath, (request, reply) => this.giveResource(request, reply));
    if (revokePath !== null) app.post(revokePath, (request, reply) => this.revoke(request, reply));
    if (metadataPath !== null) app.get(metadataPath, (request, reply) => this.describe(request, reply));
  }

  findToken(token: string): TokenState | null {
    return this.grants.find(token);
  }

  reset(): void {
    this.settings.reset();
    this.grants.reset();
  }

  private authorize({ query, url, headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const visit = { query, url, cookies: headers.cookie };
    const call = this.callOf('authorize', null, {});
    return this.player.runBrowserCall(call, reply, () => this.authorization.perform(visit));
  }

  private giveToken(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const asked = clientCallOf(request);
    return this.player.runTokenCall(this.describeTokenCall(asked), reply, (offsetMs) =>
      this.tokens.giveToken(asked, offsetMs),
    );
  }

  private revoke(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const asked = clientCallOf(request);
    const token = textField(asked.fields, 'token');
    const owner = token === null ? null : this.grants.ownerOf(token);
    const call = this.callOf('revoke', owner, token === null ? {} : { token: fingerprint(token) });
    return this.player.runTokenCall(call, reply, () => this.tokens.revoke(asked));
  }

  /** The issuer is the origin by which the caller came: it must be the one that the caller expects. */
  private describe(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const issuer = `${request.protocol}://${request.host}`;
    return this.player.runBrowserCall(this.callOf('discovery', null, {}), reply, () => ({
      answer: jsonAnswer(200, metadataOf(issuer, this.dialect, this.settings.current)),
      outcome: 'ok',
    }));
  }

  private describeTokenCall({ fields }: ClientCall): TokenCall {
    const fingerprints: Record<string, string> = {};
    let owner: Grant | null = null;
    for (const name of ['code', 'refresh_token']) {
      const secret = textField(fields, name);
      if (secret === null) continue;
      fingerprints[name] = fingerprint(secret);
      owner = this.grants.ownerOf(secret) ?? owner;
    }
    const grantType = textField(fields, 'grant_type');
    if (grantType === 'refresh_token') return this.callOf('renew', owner, fingerprints);
    const isForClient = grantType === 'client_credentials';
    return this.callOf(isForClient ? 'client_credentials' : 'exchange', owner, fingerprints);
  }

  private callOf(operation: string, owner: Grant | null, fingerprints: Record<string, string>): TokenCall {
    const unknown = { company_id: null, username: null, grant_id: null };
    return {
      provider: this.name,
      operation,
      dialect: null,
      ...(owner === null ? unknown : ids(owner)),
      fingerprints,
    };
  }

  private giveResource({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { tokenHeader } = this.dialect;
    const bare = tokenHeader === null ? undefined : headers[tokenHeader];
    const value = typeof bare === 'string' ? bare : credentialsOf(headers.authorization, 'Bearer');
    const token = this.grants.livingToken(value ?? '');
    if (token === null) {
      return reply
        .code(401)
        .header('www-authenticate', 'Bearer error="invalid_token"')
        .send({ error: 'invalid_token' });
    }
    return reply.send({ ok: true, ...ids(token.grant), scope: token.scopes });
  }
}

function clientCallOf({ headers, body }: FastifyRequest): ClientCall {
  const { authorization, accept, 'content-type': contentType } = headers;
  return { authorization, accept, contentType, fields: body };
}
