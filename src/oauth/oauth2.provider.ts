import { createHmac } from 'node:crypto';
import {
  AuthorizationResponseError,
  calculatePKCECodeChallenge,
  skipStateCheck,
  validateAuthResponse,
  type AuthorizationServer,
} from 'oauth4webapi';
import type { OAuth2Settings } from '../config/provider-settings.js';
import { OfferedTo } from '../http/description.js';
import { readBody } from '../http/validation.js';
import { headerFor } from '../provider/access-token.js';
import type {
  OfferedGrant,
  Outcome,
  RenewalContext,
  UpstreamRevocation,
} from '../provider/token-provider.js';
import { keepsRefreshToken, readTokenResponse } from '../provider/token-response.js';
import type { Upstream, UpstreamResult } from '../provider/upstream.js';
import { codesOf, judgeFailure, type Failure } from '../provider/verdict.js';
import type { Clock } from '../shared/clock.js';
import type { Subject } from '../shared/ids.js';
import { Problem } from '../shared/problem.js';
import { Secret } from '../shared/secret.js';
import type { Vault } from '../vault/vault.js';
import type { AuthorizeLinks } from './authorize-link.js';
import {
  ForeignAnswer,
  type CompanyGrant,
  type Consent,
  type ConsentProvider,
  type ConsentRequest,
  type Redeemed,
} from './consent-provider.js';
import { readImport } from './grant-import.js';
import { OAuth2Client } from './oauth2-client.js';
import { ServerMetadata } from './server-metadata.js';

/** What an OAuth 2 grant is made of; nothing where tokens are minted from the client's own credentials. */
interface OAuth2Grant {
  readonly refresh_token?: string;
}

/** A provider with `grant: client_credentials` is told no more than that. */
@OfferedTo('a provider with `grant: client_credentials`')
class NothingShape {}

/** Any OAuth 2 provider (RFC 6749), its dialect from configuration. Connect is one. */
export class OAuth2Provider implements ConsentProvider {
  readonly kind = 'oauth2';
  readonly renews = true;
  readonly hasClientSecret = true;
  readonly name: string;
  readonly title: string;
  readonly callbackPath: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly mintsFromCredential: boolean;
  readonly #client: OAuth2Client;
  readonly #metadata: ServerMetadata;

  constructor(
    readonly settings: OAuth2Settings,
    upstream: Upstream,
    clock: Clock,
    private readonly vault: Vault,
    private readonly links: AuthorizeLinks,
  ) {
    this.name = settings.name;
    this.title = settings.name;
    this.callbackPath = `/oauth/${settings.name}/callback`;
    this.clientId = settings.clientId;
    this.scopes = settings.scopes;
    this.mintsFromCredential = settings.grant === 'client_credentials';
    this.#client = new OAuth2Client(settings, upstream);
    this.#metadata = new ServerMetadata(settings, upstream, clock);
  }

  header(accessToken: Secret): { name: string; value: string } {
    return headerFor(accessToken, this.settings.header);
  }

  async consentUrl({ state, scopes }: ConsentRequest): Promise<string | Failure> {
    const endpoints = await this.#metadata.endpoints();
    if (endpoints.kind !== 'found') return endpoints;
    const url = new URL(endpoints.authorize);
    const { authorizeParams, scopeSeparator, pkce } = this.settings;
    const parameters: Record<string, string> = {
      ...authorizeParams,
      client_id: this.clientId,
      redirect_uri: this.#redirectUri(),
      response_type: 'code',
      state,
      ...(scopes.length > 0 ? { scope: scopes.join(scopeSeparator) } : {}),
    };
    if (pkce && endpoints.knowsS256) {
      parameters['code_challenge'] = await calculatePKCECodeChallenge(this.#codeVerifier(state));
      parameters['code_challenge_method'] = 'S256';
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  }

  async redeem({ code, state, scopes, parameters }: Consent): Promise<Redeemed> {
    const endpoints = await this.#metadata.endpoints();
    if (endpoints.kind !== 'found') return { company: endpoints, user: null };
    if (endpoints.server) refuseForeign(endpoints.server, this.clientId, parameters);
    const usesPkce = this.settings.pkce && endpoints.knowsS256;
    const result = await this.#client.post(endpoints.token, {
      grant_type: 'authorization_code',
      code,
      redirect_uri: this.#redirectUri(),
      code_verifier: usesPkce ? this.#codeVerifier(state) : undefined,
    });
    const answer = readTokenResponse(result, this.#reading('authorization_code'));
    if (!answer) return { company: this.#judge(result, false), user: null };
    const { token, refreshToken } = answer;
    const company: CompanyGrant = {
      kind: 'issued',
      token: { ...token, scopes: token.scopes ?? scopes },
      // Never a former refresh token: it may be of another account than the one that has consented now.
      grant: () => sealable(refreshToken),
    };
    return { company, user: null };
  }

  async renew(grant: Secret, context: RenewalContext): Promise<Outcome> {
    const held = this.mintsFromCredential ? null : grant.revealJson<OAuth2Grant>().refresh_token;
    if (held === undefined) return { kind: 'grant_refused', code: 'no_refresh_token' };
    const endpoints = await this.#metadata.endpoints();
    if (endpoints.kind !== 'found') return endpoints;
    const parameters = held === null ? this.#mintParameters() : this.#refreshParameters(held);
    const result = await this.#client.post(endpoints.token, parameters, context.beforeSending);
    const answer = readTokenResponse(result, this.#reading(parameters['grant_type'] ?? ''));
    if (!answer) return this.#judge(result, context.knownDialect !== null);
    const { token, refreshToken } = answer;
    // What was granted is told only where it differs from what was asked for (RFC 6749 5.1).
    if (held === null) return { kind: 'issued', token: { ...token, scopes: token.scopes ?? this.scopes } };
    return {
      kind: 'issued',
      token: {
        ...token,
        grant: refreshToken === undefined ? null : sealable(refreshToken),
        refreshTokenKept: keepsRefreshToken(answer, held),
      },
    };
  }

  readOffer(body: unknown, { locationId }: Subject): OfferedGrant {
    if (this.settings.grant === 'authorization_code') {
      return readImport(body, this.settings.tokenTtlSeconds, sealable);
    }
    readBody(NothingShape, body);
    if (locationId !== null) {
      throw new Problem(
        'invalid_request',
        "The client's own rights know no locations: leave the location out.",
      );
    }
    return {
      grant: sealable(undefined),
      credential: null,
      madeByHand: false,
      token: null,
      scopes: null,
      verify: true,
    };
  }

  /** RFC 7009. The refresh token first: that ends the grant. */
  async revoke(grant: Secret | null, accessToken: Secret | null): Promise<UpstreamRevocation> {
    const endpoints = await this.#metadata.endpoints();
    if (endpoints.kind !== 'found') return { upstream: 'owed', accessTokenRevoked: false };
    const { revocation } = endpoints;
    if (revocation === null) return { upstream: 'unsupported', accessTokenRevoked: false };
    const refreshToken = grant?.revealJson<OAuth2Grant>().refresh_token;
    const told = await this.#tell(revocation, refreshToken, 'refresh_token');
    const access = await this.#tell(revocation, accessToken?.reveal(), 'access_token');
    if (told === 'away' || access === 'away') return { upstream: 'owed', accessTokenRevoked: false };
    const isGrantEnded = refreshToken === undefined ? access === 'done' : told === 'done';
    return { upstream: isGrantEnded ? 'revoked' : 'unsupported', accessTokenRevoked: access === 'done' };
  }

  credentialsInForce(): Secret {
    const { issuer, tokenUrl, clientId, clientSecrets } = this.settings;
    const secrets = clientSecrets.current.map((secret) => secret.reveal());
    return new Secret(JSON.stringify([issuer, tokenUrl, clientId, ...secrets]));
  }

  async reauthorizeUrl(companyId: string, scopes: readonly string[]): Promise<string | null> {
    if (this.settings.grant !== 'authorization_code') return null;
    const link = await this.links.create({ provider: this.name, companyId, scopes }, this.settings.publicUrl);
    return link?.url ?? null;
  }

  #mintParameters(): Record<string, string | undefined> {
    const { scopeSeparator } = this.settings;
    const scope = this.scopes.length > 0 ? this.scopes.join(scopeSeparator) : undefined;
    return { grant_type: 'client_credentials', scope };
  }

  #refreshParameters(refreshToken: string): Record<string, string | undefined> {
    const redirectUri = this.settings.refreshWithRedirectUri ? this.#redirectUri() : undefined;
    return { grant_type: 'refresh_token', refresh_token: refreshToken, redirect_uri: redirectUri };
  }

  async #tell(
    url: string,
    token: string | undefined,
    hint: 'refresh_token' | 'access_token',
  ): Promise<'done' | 'refused' | 'away'> {
    if (token === undefined) return 'done';
    const result = await this.#client.post(url, { token, token_type_hint: hint });
    if (result.kind === 'failed') return 'away';
    if (result.status === 200 || result.status === 204) return 'done';
    return codesOf(result.json).includes('unsupported_token_type') ? 'refused' : 'away';
  }

  #reading(dialect: string): { fallbackSeconds: number; dialect: string } {
    return { fallbackSeconds: this.settings.tokenTtlSeconds, dialect };
  }

  #judge(result: UpstreamResult, hasRenewed: boolean): Failure {
    const { deadGrantCodes, clientErrorCodes } = this.settings;
    const failure = judgeFailure(result, { deadGrantCodes, clientErrorCodes, hasRenewed });
    // Where there is no grant, none is to blame.
    return this.mintsFromCredential && failure.code === 'refused_without_code'
      ? { kind: 'misconfigured', code: 'client_refused' }
      : failure;
  }

  #redirectUri(): string {
    return `${this.settings.publicUrl}${this.callbackPath}`;
  }

  /** Made from the state by a key that never leaves the broker, so that it needs to be kept nowhere (RFC 7636 4.1). */
  #codeVerifier(state: string): string {
    return createHmac('sha256', this.vault.signingKey()).update(`code_verifier ${state}`).digest('base64url');
  }
}

function sealable(refreshToken: string | undefined): Secret {
  const grant: OAuth2Grant = refreshToken === undefined ? {} : { refresh_token: refreshToken };
  return new Secret(JSON.stringify(grant));
}

/** The answer must be of the server that was asked (RFC 9207): else somebody mixes two servers up. */
function refuseForeign(server: AuthorizationServer, clientId: string, parameters: URLSearchParams): void {
  try {
    validateAuthResponse(server, { client_id: clientId }, parameters, skipStateCheck);
  } catch (error) {
    throw error instanceof AuthorizationResponseError ? error : new ForeignAnswer();
  }
}
