import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Context } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import type { Json } from './http.js';

/** What the server is like; by default it knows everything. */
export interface OidcServerOptions {
  /** Seconds that an access token lives. */
  readonly tokenTtl?: number;
  /** Whether a token can be revoked (RFC 7009). */
  readonly revokes?: boolean;
}

/** A request to the token endpoint and what came of it; tokens are told apart by their fingerprints. */
export interface TokenRequest {
  /** Undefined where no client proved itself. */
  readonly clientId: string | undefined;
  readonly grantType: string | undefined;
  /** How the client proved itself. */
  readonly authentication: 'header' | 'body' | 'none';
  /** Of the refresh token that was sent, null where none was. */
  readonly presented: string | null;
  /** Of the refresh token that came back, null where none did. */
  readonly issued: string | null;
  readonly status: number;
  /** RFC 6749 5.2; null where a token was issued. */
  readonly error: string | null;
}

/** What the server gave out last. */
export interface IssuedTokens {
  readonly access: string;
  readonly refresh: string;
}

/**
 * A certified OpenID Provider that nobody here wrote, on loopback and in memory: PKCE is asked of everybody, refresh tokens
 * rotate, and one that comes twice ends its grant. Every user signs in and agrees to everything at once.
 */
export class OidcServer {
  /** All requests to the token endpoint since `forget`. */
  readonly tokenRequests: TokenRequest[] = [];
  /** The paths of all requests since `forget`. */
  readonly paths: string[] = [];
  /** Answers to paths that are the test's and not the server's. */
  readonly bent = new Map<string, RequestListener>();
  lastIssued: IssuedTokens = { access: '', refresh: '' };
  /** While it is true, whoever connects is thrown out. */
  isDown = false;
  /** What the answer to a token request waits for, once it is decided. */
  hold: (() => Promise<unknown>) | undefined;
  readonly #grants: string[] = [];
  readonly #http: Server;
  readonly #provider: Provider;

  private constructor(http: Server, options: OidcServerOptions) {
    this.#http = http;
    this.#provider = new Provider(this.url, configuration(options));
    for (const kind of ['AccessToken', 'AuthorizationCode', 'ClientCredentials', 'RefreshToken'] as const) {
      const { prototype } = this.#provider[kind];
      const generate = prototype.generateTokenId;
      // Recognisable, so that one that lies or is printed where it must not be is found.
      prototype.generateTokenId = function () {
        return `test-secret-${kind}-${generate.call(this)}`;
      };
    }
    this.#provider.use((context, next) => this.#attend(context, next));
    const serve = this.#provider.callback();
    http.on('connection', (socket) => {
      if (this.isDown) socket.destroy();
    });
    http.on('request', (request, response) => {
      const { pathname } = new URL(request.url ?? '/', this.url);
      this.paths.push(pathname);
      (this.bent.get(pathname) ?? serve)(request, response);
    });
  }

  static async start(options: OidcServerOptions = {}): Promise<OidcServer> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return new OidcServer(http, options);
  }

  async close(): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  /** Its address, which is its issuer, too. */
  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get host(): string {
    return new URL(this.url).host;
  }

  /** Registers a client, or changes one that is registered. */
  async register(client: Json & { client_id: string; client_secret: string }): Promise<void> {
    await this.#provider.Client.adapter.upsert(client.client_id, client);
  }

  /** As if nothing had happened: no request is remembered, nothing is bent or held, and it is up. */
  forget(): void {
    this.tokenRequests.length = 0;
    this.paths.length = 0;
    this.bent.clear();
    this.isDown = false;
    this.hold = undefined;
  }

  /** Ends every grant that was given, as a user does who takes the consent back. */
  async endGrants(): Promise<void> {
    const { AccessToken, Grant, RefreshToken } = this.#provider;
    for (const id of this.#grants.splice(0)) {
      await AccessToken.revokeByGrantId(id);
      await RefreshToken.revokeByGrantId(id);
      await Grant.adapter.destroy(id);
    }
  }

  /** The status with which its userinfo endpoint answers this `Authorization`: 200 where the token is good. */
  async userinfo(authorization: string): Promise<number> {
    return (await fetch(`${this.url}/me`, { headers: { authorization } })).status;
  }

  /** A request to one of its endpoints, as a client that proves itself in the body. */
  async ask(path: string, parameters: Record<string, string>): Promise<{ status: number; body: Json }> {
    const body = new URLSearchParams(parameters);
    const response = await fetch(`${this.url}${path}`, { method: 'POST', body });
    return { status: response.status, body: (await response.json()) as Json };
  }

  async #attend(context: Context, next: () => Promise<void>): Promise<void> {
    if (context.path.startsWith('/interaction/')) return this.#agree(context);
    await next();
    if (context.path !== '/token') return;
    const body = context.body as Partial<Record<'access_token' | 'refresh_token' | 'error', string>>;
    const { client_secret, grant_type, refresh_token } = context.oidc?.params ?? {};
    const inBody = client_secret === undefined ? 'none' : 'body';
    this.tokenRequests.push({
      clientId: context.oidc?.client?.clientId,
      grantType: grant_type,
      authentication: context.req.headers.authorization === undefined ? inBody : 'header',
      presented: fingerprint(refresh_token),
      issued: fingerprint(body.refresh_token),
      status: context.status,
      error: body.error ?? null,
    });
    if (body.access_token !== undefined) {
      this.lastIssued = { access: body.access_token, refresh: body.refresh_token ?? '' };
    }
    await this.hold?.();
  }

  async #agree(context: Context): Promise<void> {
    const { req, res } = context;
    const { params } = await this.#provider.interactionDetails(req, res);
    const accountId = 'seller';
    const grant = new this.#provider.Grant({ accountId, clientId: params['client_id'] ?? '' });
    grant.addOIDCScope(params['scope'] ?? '');
    const grantId = await grant.save();
    this.#grants.push(grantId);
    context.respond = false;
    await this.#provider.interactionFinished(req, res, { login: { accountId }, consent: { grantId } });
  }
}

/** Tells one token from another. */
export function fingerprint(token: string | undefined): string | null {
  return token === undefined ? null : createHash('sha256').update(token).digest('hex').slice(0, 16);
}

/** A client may revoke what was issued to it, and look at it, and at nothing else (RFC 7009 2.1). */
function isOwn(_context: unknown, client: { clientId: string }, token: { clientId: string }): boolean {
  return client.clientId === token.clientId;
}

const DAY_S = 86_400;
/** Made once: it takes a moment. */
const SIGNING_KEY = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ format: 'jwk' });

function configuration({ tokenTtl = 3_600, revokes = true }: OidcServerOptions): object {
  return {
    adapter: createMemoryAdapter(),
    jwks: { keys: [{ ...SIGNING_KEY, use: 'sig', alg: 'RS256' }] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: isOwn },
      revocation: { enabled: revokes, allowedPolicy: isOwn },
    },
    findAccount: (_context: unknown, accountId: string) => ({
      accountId,
      claims: () => ({ sub: accountId }),
    }),
    interactions: {
      url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}`,
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access', 'orders', 'products'],
    ttl: {
      AccessToken: tokenTtl,
      ClientCredentials: tokenTtl,
      AuthorizationCode: 60,
      Grant: DAY_S,
      IdToken: 3_600,
      Interaction: 3_600,
      RefreshToken: DAY_S,
      Session: DAY_S,
    },
  };
}
