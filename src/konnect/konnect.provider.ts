import { decodeJwt } from 'jose';
import { IsBoolean, IsNotEmpty, IsOptional, IsString, MaxLength } from 'class-validator';
import type { KonnectSettings } from '../config/provider-settings.js';
import { OfferedTo } from '../http/description.js';
import { readBody } from '../http/validation.js';
import { readToken } from '../provider/access-token.js';
import { readExpiry, type ReadExpiry } from '../provider/expiry.js';
import type { OfferedGrant, Outcome, RenewalContext, TokenProvider } from '../provider/token-provider.js';
import type { Upstream, UpstreamRequest, UpstreamResult } from '../provider/upstream.js';
import { codesOf, judgeFailure } from '../provider/verdict.js';
import { Secret } from '../shared/secret.js';
import { Field } from '../shared/schema.js';

/** What Konnect's answers are remembered as; it has one dialect. */
const DIALECT = 'konnect';

/** A location or a company of Konnect, as its settings pages show it. */
@OfferedTo('Konnect')
class KonnectCredentialShape {
  @IsString() @IsNotEmpty() @MaxLength(1_000) @Field({ examples: ['store-7'] }) username!: string;
  @IsString() @IsNotEmpty() @MaxLength(4_000) @Field({ examples: ['…'] }) password!: string;
  @IsOptional()
  @IsBoolean()
  @Field({ default: true }, 'Whether a real exchange has to prove it first.')
  verify?: boolean;
}

interface Credential {
  readonly username: string;
  readonly password: string;
}

type Answer = Extract<UpstreamResult, { kind: 'answered' }>;

/**
 * Fynd Konnect: a username and a token-like password for an access token, at company or location level. Nothing in an
 * answer tells the level, there is no refresh token and no published lifetime: renewing is asking again.
 */
export class KonnectProvider implements TokenProvider {
  readonly kind = 'konnect';
  readonly name: string;
  readonly scopes = [];
  readonly renews = true;
  readonly hasClientSecret = false;
  readonly mintsFromCredential = true;

  constructor(
    readonly settings: KonnectSettings,
    private readonly upstream: Upstream,
  ) {
    this.name = settings.name;
  }

  header(accessToken: Secret): { name: string; value: string } {
    return { name: 'x-access-token', value: accessToken.reveal() };
  }

  readOffer(body: unknown): OfferedGrant {
    const { username, password, verify } = readBody(KonnectCredentialShape, body);
    const text = JSON.stringify({ username, password } satisfies Credential);
    const credential = new Secret(text);
    return {
      grant: credential,
      credential,
      madeByHand: true,
      token: null,
      scopes: [],
      verify: verify ?? true,
    };
  }

  async renew(grant: Secret, context: RenewalContext): Promise<Outcome> {
    context.beforeSending();
    const result = await this.upstream.ask(this.settings, this.#request(grant.revealJson<Credential>()));
    if (result.kind === 'failed') return this.#judge(result, context);

    const body = (result.json ?? {}) as Record<string, unknown>;
    // A FAILURE comes with any status below 500, mostly 200, and may be about the credential or a passing mood.
    const isRedirect = result.status >= 300 && result.status < 400;
    if (body['status'] === 'FAILURE' && !isRedirect && result.status < 500 && result.status !== 429) {
      const isSure = codesOf(body).some((code) => this.settings.deadGrantCodes.includes(code));
      return { kind: isSure ? 'grant_refused' : 'grant_doubtful', code: 'credential_refused' };
    }
    const accessToken = result.status < 300 ? readToken(body['access_token'] ?? body['accessToken']) : null;
    if (!accessToken) return this.#judge(result, context);
    const expiry = this.#expiryOf(accessToken, result);
    return {
      kind: 'issued',
      token: {
        accessToken,
        tokenType: 'Bearer',
        lifetimeSeconds: expiry.lifetimeSeconds,
        lifetimeAssumed: expiry.assumed,
        scopes: null,
        grant: null,
        refreshTokenKept: null,
        sentAt: result.sentAt,
        dialect: DIALECT,
      },
    };
  }

  /** There are no client credentials; another address is another registration. */
  credentialsInForce(): Secret {
    return new Secret(`${this.settings.baseUrl}${this.settings.tokenPath}`);
  }

  reauthorizeUrl(): Promise<null> {
    return Promise.resolve(null);
  }

  #judge(result: UpstreamResult, context: RenewalContext): Outcome {
    return judgeFailure(result, {
      deadGrantCodes: this.settings.deadGrantCodes,
      clientErrorCodes: this.settings.clientErrorCodes,
      hasRenewed: context.knownDialect !== null,
    });
  }

  #request(credential: Credential): UpstreamRequest {
    const { baseUrl, tokenPath, method, credentialsIn } = this.settings;
    const { username, password } = credential;
    const url = `${baseUrl}${tokenPath}`;
    if (credentialsIn === 'query')
      return { method, url: `${url}?${String(new URLSearchParams({ username, password }))}` };
    return {
      method,
      url,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    };
  }

  /** Should the token be a JWT, its own `exp` knows better than a setting. */
  #expiryOf(token: Secret, answer: Answer): ReadExpiry {
    const text = token.reveal();
    let exp: unknown;
    try {
      // The error of one that is not even shaped like it would cost more than all else here.
      if (text.split('.').length === 3) exp = decodeJwt(text).exp;
    } catch {
      exp = undefined;
    }
    return readExpiry({ expires_at: exp }, this.settings.tokenTtlSeconds, answer.sentAtDate, answer.date);
  }
}
