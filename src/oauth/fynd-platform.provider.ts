import type { FyndPlatformSettings } from '../config/provider-settings.js';
import { readToken } from '../provider/access-token.js';
import { readExpiry } from '../provider/expiry.js';
import {
  LeaseRanOut,
  type IssuedToken,
  type Outcome,
  type RenewalContext,
  type TokenProvider,
} from '../provider/token-provider.js';
import type { Upstream, UpstreamRequest, UpstreamResult } from '../provider/upstream.js';
import { judgeFailure } from '../provider/verdict.js';
import { Secret } from '../shared/secret.js';

/** What the documents say an offline token lives; it counts only where an answer does not tell. */
const OFFLINE_TTL_S = 3_600;

/** Fynd's own document and its own libraries renew in different ways; both are spoken. */
type Dialect = 'document' | 'library';

/** Statuses that may mean no more than: not in this dialect. */
const WRONG_DIALECT = new Set([400, 404, 405, 415]);

/** What a Fynd grant is made of. The document's dialect sends the code again, so it is kept beside the refresh token. */
interface FyndGrant {
  readonly code: string;
  readonly refresh_token?: string;
}

/** A consent redeemed: the token, and what to keep of the grant. */
export type Redeemed =
  | {
      readonly kind: 'issued';
      readonly token: IssuedToken;
      readonly grant: (former: Secret | null) => Secret;
    }
  | Exclude<Outcome, { kind: 'issued' }>;

/** Fynd Platform, for extensions: offline tokens of a company by authorization code and refresh token. */
export class FyndPlatformProvider implements TokenProvider {
  readonly kind = 'fynd-platform';
  readonly name: string;
  readonly scopes: readonly string[];
  readonly mintsFromCredential = false;

  constructor(
    readonly settings: FyndPlatformSettings,
    private readonly upstream: Upstream,
  ) {
    this.name = settings.name;
    this.scopes = settings.scopes;
  }

  header(accessToken: Secret): { name: string; value: string } {
    return { name: 'Authorization', value: `Bearer ${accessToken.reveal()}` };
  }

  /** Where the seller consents, with the broker's own callback and nothing from outside but ids and the state. */
  consentUrl(companyId: string, state: string): string {
    const query = new URLSearchParams({
      access_mode: 'offline',
      client_id: this.settings.apiKey,
      redirect_uri: `${this.settings.publicUrl}/fp/auth`,
      response_type: 'code',
      scope: this.settings.scopes.join(','),
      state,
    });
    return `${this.#oauthUrl(companyId)}/authorize?${String(query)}`;
  }

  /** Redeems the code of a consent for an offline token. */
  async redeem(companyId: string, code: string): Promise<Redeemed> {
    const { apiKey, apiSecret, scopes } = this.settings;
    const result = await this.upstream.ask(
      this.settings,
      this.#json(`${this.#oauthUrl(companyId)}/offline-token`, {
        grant_type: 'authorization_code',
        code,
        client_id: apiKey,
        client_secret: apiSecret.current.reveal(),
        scope: scopes,
      }),
    );
    const token = this.#readToken(result, 'exchange');
    if (!token) return this.#judge(result, false);
    const refreshToken = refreshTokenIn(result);
    // A consent given again may come without a refresh token: then the one that is there goes on working.
    const grant = (former: Secret | null): Secret =>
      sealable({
        code,
        refresh_token: refreshToken ?? (former ? readGrant(former).refresh_token : undefined),
      });
    return { kind: 'issued', token: { ...token, scopes: token.scopes ?? scopes }, grant };
  }

  async renew(grant: Secret, context: RenewalContext): Promise<Outcome> {
    const held = readGrant(grant);
    const refreshToken = held.refresh_token;
    if (refreshToken === undefined) return { kind: 'grant_refused', code: 'no_refresh_token' };
    const [first, second] = this.#dialects(context.knownDialect);
    const answer = await this.#ask(first, { ...held, refresh_token: refreshToken }, context);
    if (!second || !isRefusedDialect(answer)) return answer.outcome;
    try {
      return (await this.#ask(second, { ...held, refresh_token: refreshToken }, context)).outcome;
    } catch (error) {
      if (!(error instanceof LeaseRanOut)) throw error;
      // The first dialect was refused, slowly: nothing is spent, and nothing is known of the second.
      return { kind: 'unavailable', code: 'timed_out', mayHaveActed: false, retryAfterSeconds: null };
    }
  }

  credentialsInForce(): Secret {
    const { apiKey, apiSecret, baseUrl } = this.settings;
    return new Secret(JSON.stringify([baseUrl, apiKey, apiSecret.current.reveal()]));
  }

  reauthorizeUrl(companyId: string): string {
    const query = new URLSearchParams({ company_id: companyId, client_id: this.settings.apiKey });
    return `${this.settings.publicUrl}/fp/install?${String(query)}`;
  }

  /** What to speak, in order. One that worked is spoken first; the other is for a provider that has changed its mind. */
  #dialects(known: string | null): readonly [Dialect, Dialect?] {
    const { renewal } = this.settings;
    if (renewal !== 'auto') return [renewal];
    return known === 'library' ? ['library', 'document'] : ['document', 'library'];
  }

  async #ask(
    dialect: Dialect,
    grant: Required<FyndGrant>,
    context: RenewalContext,
  ): Promise<{ outcome: Outcome; result: UpstreamResult; isProven: boolean }> {
    context.beforeSending();
    const result = await this.upstream.ask(
      this.settings,
      this.#renewalRequest(dialect, context.companyId, grant),
    );
    const isProven = context.knownDialect === dialect;
    const token = this.#readToken(result, dialect);
    if (!token) return { outcome: this.#judge(result, isProven), result, isProven };
    const refreshToken = refreshTokenIn(result);
    const renewed: IssuedToken = {
      ...token,
      grant: refreshToken === undefined ? null : sealable({ ...grant, refresh_token: refreshToken }),
      refreshTokenKept: refreshToken === undefined || refreshToken === grant.refresh_token,
    };
    return { outcome: { kind: 'issued', token: renewed }, result, isProven };
  }

  #renewalRequest(dialect: Dialect, companyId: string, grant: Required<FyndGrant>): UpstreamRequest {
    const url = this.#oauthUrl(companyId);
    const { code, refresh_token } = grant;
    if (dialect === 'document') {
      return this.#json(`${url}/offline-token`, { grant_type: 'authorization_code', code, refresh_token });
    }
    return {
      method: 'POST',
      url: `${url}/token`,
      headers: { authorization: this.#basic(), 'content-type': 'application/x-www-form-urlencoded' },
      body: String(new URLSearchParams({ grant_type: 'refresh_token', refresh_token })),
    };
  }

  #readToken(result: UpstreamResult, dialect: string): IssuedToken | null {
    if (result.kind === 'failed' || result.status < 200 || result.status >= 300) return null;
    const body = (result.json ?? {}) as Record<string, unknown>;
    const accessToken = readToken(body['access_token']);
    if (!accessToken) return null;
    const expiry = readExpiry(body, OFFLINE_TTL_S, result.sentAtDate, result.date);
    return {
      accessToken,
      tokenType: readTokenType(body['token_type']),
      lifetimeSeconds: expiry.lifetimeSeconds,
      lifetimeAssumed: expiry.assumed,
      scopes: readScopes(body['scope']),
      grant: null,
      refreshTokenKept: null,
      sentAt: result.sentAt,
      dialect,
    };
  }

  #judge(result: UpstreamResult, hasRenewed: boolean): Exclude<Outcome, { kind: 'issued' }> {
    return judgeFailure(result, { deadGrantCodes: this.settings.deadGrantCodes, hasRenewed });
  }

  #json(url: string, body: Record<string, unknown>): UpstreamRequest {
    return {
      method: 'POST',
      url,
      headers: { authorization: this.#basic(), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
  }

  /** The raw pair in base64, as Fynd's document wants it. */
  #basic(): string {
    const { apiKey, apiSecret } = this.settings;
    return `Basic ${Buffer.from(`${apiKey}:${apiSecret.current.reveal()}`).toString('base64')}`;
  }

  #oauthUrl(companyId: string): string {
    return `${this.settings.baseUrl}/service/panel/authentication/v1.0/company/${encodeURIComponent(companyId)}/oauth`;
  }
}

/** Neither a dead grant nor a dialect that is known to work: only then is the other one worth a try. */
function isRefusedDialect({
  outcome,
  result,
  isProven,
}: {
  outcome: Outcome;
  result: UpstreamResult;
  isProven: boolean;
}): boolean {
  if (result.kind !== 'answered' || !WRONG_DIALECT.has(result.status) || outcome.kind === 'grant_refused')
    return false;
  return !isProven || result.status !== 400;
}

function readGrant(grant: Secret): FyndGrant {
  return grant.revealJson<FyndGrant>();
}

function sealable(grant: { code: string; refresh_token: string | undefined }): Secret {
  return new Secret(JSON.stringify(grant));
}

function refreshTokenIn(result: UpstreamResult): string | undefined {
  const body = result.kind === 'answered' ? (result.json as Record<string, unknown> | undefined) : undefined;
  return readToken(body?.['refresh_token'])?.reveal();
}

/** A list, or a text with commas or spaces; null where the answer does not say, or says nothing. */
function readScopes(value: unknown): string[] | null {
  const list = typeof value === 'string' ? value.split(/[\s,]+/) : value;
  if (!Array.isArray(list) || list.length === 0) return null;
  return list.filter(
    (scope): scope is string => typeof scope === 'string' && /^[\x21-\x7e]{1,256}$/.test(scope),
  );
}

/** The type is case-insensitive (RFC 6749 5.1); the usual one is told in its usual spelling. */
function readTokenType(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9._~-]{1,64}$/.test(value) && !/^bearer$/i.test(value)
    ? value
    : 'Bearer';
}
