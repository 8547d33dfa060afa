import type { FyndPlatformSettings } from '../config/provider-settings.js';
import {
  LeaseRanOut,
  type FailureCode,
  type IssuedToken,
  type OfferedGrant,
  type Outcome,
  type RenewalContext,
} from '../provider/token-provider.js';
import { keepsRefreshToken, readTokenResponse } from '../provider/token-response.js';
import type { Upstream, UpstreamRequest, UpstreamResult } from '../provider/upstream.js';
import { judgeFailure, type Failure } from '../provider/verdict.js';
import type { Subject } from '../shared/ids.js';
import { Problem } from '../shared/problem.js';
import { Secret } from '../shared/secret.js';
import type { AuthorizeLinks } from './authorize-link.js';
import type {
  CompanyGrant,
  Consent,
  ConsentProvider,
  ConsentRequest,
  Redeemed,
  UserToken,
} from './consent-provider.js';
import { readGrant, readUserId, sealable, type FyndGrant, type RenewableGrant } from './fynd-grant.js';
import { readImport } from './grant-import.js';
import { readTest, type TestAnswer } from './test-answer.js';

/** What the documents say an offline token lives; it counts only where an answer does not tell. */
const OFFLINE_TTL_S = 3_600;
/** An online token lives two hours at least. */
const ONLINE_TTL_S = 7_200;

/** Where consents of every extension come back to. */
export const FYND_CALLBACK_PATH = '/fp/auth';

/** Fynd's own document and its own libraries renew in different ways; both are spoken. */
type Dialect = 'document' | 'library';

/** Statuses that may mean no more than: not in this dialect. */
const WRONG_DIALECT = new Set([400, 404, 405, 415]);

/** What a refused dialect comes to where no dialect but that can be spoken. */
const MAY_MEAN_DIALECT: ReadonlySet<FailureCode> = new Set([
  'refused_without_code',
  'request_refused',
  'endpoint_gone',
]);

/** Fynd Platform, for extensions: a company's offline token, its users' online tokens, or both. */
export class FyndPlatformProvider implements ConsentProvider {
  readonly kind = 'fynd-platform';
  readonly title = 'Fynd';
  readonly callbackPath = FYND_CALLBACK_PATH;
  readonly renews = true;
  readonly hasClientSecret = true;
  readonly name: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly mintsFromCredential = false;

  constructor(
    readonly settings: FyndPlatformSettings,
    private readonly upstream: Upstream,
    private readonly links: AuthorizeLinks,
  ) {
    this.name = settings.name;
    this.clientId = settings.apiKey;
    this.scopes = settings.scopes;
  }

  header(accessToken: Secret): { name: string; value: string } {
    return { name: 'Authorization', value: `Bearer ${accessToken.reveal()}` };
  }

  /** With the broker's own callback, and nothing from outside but ids and the state. */
  consentUrl({ companyId, state, scopes }: ConsentRequest): Promise<string> {
    const query = new URLSearchParams({
      access_mode: this.settings.accessMode === 'offline' ? 'offline' : 'online',
      client_id: this.settings.apiKey,
      redirect_uri: `${this.settings.publicUrl}${this.callbackPath}`,
      response_type: 'code',
      scope: scopes.join(','),
      state,
    });
    return Promise.resolve(`${this.#oauthUrl(companyId)}/authorize?${String(query)}`);
  }

  /** A code is good once at each endpoint: the company's first, since that one lasts. */
  async redeem(consent: Consent): Promise<Redeemed> {
    const { accessMode } = this.settings;
    const company = accessMode === 'online' ? null : await this.redeemOffline(consent);
    if (accessMode === 'offline' || (company && company.kind !== 'issued')) return { company, user: null };
    return { company, user: await this.#redeemOnline(consent) };
  }

  /** Redeems a code for the company's offline token. */
  async redeemOffline({
    companyId,
    code,
    scopes,
  }: Pick<Consent, 'companyId' | 'code' | 'scopes'>): Promise<CompanyGrant | Failure> {
    const { apiKey, apiSecret } = this.settings;
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
    const answer = readTokenResponse(result, { fallbackSeconds: OFFLINE_TTL_S, dialect: 'exchange' });
    if (!answer) return this.#judge(result, false);
    const { token, refreshToken } = answer;
    // A consent given again may come without a refresh token: then the one that is there goes on working.
    const grant = (former: Secret | null): Secret => {
      const kept = refreshToken ?? (former ? readGrant(former).refresh_token : undefined);
      return sealable({ code, ...(kept === undefined ? {} : { refresh_token: kept }) });
    };
    return { kind: 'issued', token: { ...token, scopes: token.scopes ?? scopes }, grant };
  }

  async #redeemOnline({ companyId, code, scopes }: Consent): Promise<UserToken | Failure> {
    const fields = { grant_type: 'authorization_code', code };
    const result = await this.upstream.ask(
      this.settings,
      this.#json(`${this.#oauthUrl(companyId)}/token`, fields),
    );
    const answer = readTokenResponse(result, { fallbackSeconds: ONLINE_TTL_S, dialect: 'online' });
    if (!answer) return this.#judge(result, false);
    const token = { ...answer.token, scopes: answer.token.scopes ?? scopes };
    return { kind: 'issued', token, userId: readUserId(answer.body['current_user']) };
  }

  /** Asks with a token that should be alive; `failure` is what the answer says of the provider. */
  async test(companyId: string, accessToken: Secret): Promise<{ answer: TestAnswer; failure?: Failure }> {
    const path = `/service/platform/configuration/v1.0/company/${encodeURIComponent(companyId)}/application`;
    const result = await this.upstream.ask(this.settings, {
      method: 'GET',
      url: `${this.settings.baseUrl}${path}`,
      headers: { authorization: `Bearer ${accessToken.reveal()}` },
    });
    const answer = readTest(result);
    const isTold = answer === 'alive' || answer === 'ended';
    return isTold ? { answer } : { answer, failure: this.#judge(result, true) };
  }

  readOffer(body: unknown, { locationId }: Subject): OfferedGrant {
    if (locationId !== null) {
      throw new Problem('invalid_request', 'Fynd Platform grants are of a company: leave the location out.');
    }
    if (this.settings.renewal === 'document') {
      throw new Problem(
        'invalid_request',
        'This provider renews as the document says, which takes the code of the consent: set renewal to auto or library.',
      );
    }
    return readImport(body, OFFLINE_TTL_S, (refresh_token) => sealable({ refresh_token }));
  }

  async renew(grant: Secret, context: RenewalContext): Promise<Outcome> {
    const held = readGrant(grant);
    const refreshToken = held.refresh_token;
    if (refreshToken === undefined) return { kind: 'grant_refused', code: 'no_refresh_token' };
    const renewable = { ...held, refresh_token: refreshToken };
    const [first, second] = this.#dialects(context.knownDialect, renewable);
    const answer = await this.#ask(first, renewable, context);
    if (!second || !isRefusedDialect(answer)) return aboutThisGrant(answer.outcome, renewable, context);
    try {
      return (await this.#ask(second, renewable, context)).outcome;
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

  /** Where the extension is installed, which is good for ever; more scopes than it is configured with take a link. */
  async reauthorizeUrl(companyId: string, scopes: readonly string[]): Promise<string | null> {
    const { publicUrl, apiKey, baseUrl } = this.settings;
    if (scopes.some((scope) => !this.scopes.includes(scope))) {
      const link = await this.links.create({ provider: this.name, companyId, scopes }, publicUrl);
      return link?.url ?? null;
    }
    // One extension may be on several clusters.
    const query = new URLSearchParams({
      company_id: companyId,
      client_id: apiKey,
      cluster_url: new URL(baseUrl).origin,
    });
    return `${publicUrl}/fp/install?${String(query)}`;
  }

  /**
   * What to speak, in order. One that worked is spoken first; the other is for a provider that has changed its mind. Without
   * a code there is one only.
   */
  #dialects(known: string | null, grant: FyndGrant): readonly [Dialect, Dialect?] {
    const { renewal } = this.settings;
    if (grant.code === undefined) return ['library'];
    if (renewal !== 'auto') return [renewal];
    return known === 'library' ? ['library', 'document'] : ['document', 'library'];
  }

  async #ask(
    dialect: Dialect,
    grant: RenewableGrant,
    context: RenewalContext,
  ): Promise<{ outcome: Outcome; result: UpstreamResult; isProven: boolean }> {
    context.beforeSending();
    const result = await this.upstream.ask(
      this.settings,
      this.#renewalRequest(dialect, context.companyId, grant),
    );
    const isProven = context.knownDialect === dialect;
    const renewal = readTokenResponse(result, { fallbackSeconds: OFFLINE_TTL_S, dialect });
    if (!renewal) return { outcome: this.#judge(result, isProven), result, isProven };
    const { token, refreshToken } = renewal;
    const renewed: IssuedToken = {
      ...token,
      grant: refreshToken === undefined ? null : sealable({ ...grant, refresh_token: refreshToken }),
      refreshTokenKept: keepsRefreshToken(renewal, grant.refresh_token),
    };
    return { outcome: { kind: 'issued', token: renewed }, result, isProven };
  }

  #renewalRequest(dialect: Dialect, companyId: string, grant: RenewableGrant): UpstreamRequest {
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

  #judge(result: UpstreamResult, hasRenewed: boolean): Failure {
    const { deadGrantCodes, clientErrorCodes } = this.settings;
    return judgeFailure(result, { deadGrantCodes, clientErrorCodes, hasRenewed });
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

/**
 * One grant that came without a code, and cannot speak the dialect that all others renew in, is no fault of ours. A client
 * that is refused, or an address that leads elsewhere, is: that would be so for all of them.
 */
function aboutThisGrant(outcome: Outcome, grant: FyndGrant, { knownDialect }: RenewalContext): Outcome {
  if (outcome.kind !== 'misconfigured' || grant.code !== undefined || knownDialect !== 'document')
    return outcome;
  return MAY_MEAN_DIALECT.has(outcome.code) ? { kind: 'grant_doubtful', code: outcome.code } : outcome;
}
