import { jsonAnswer } from '../answer.js';
import type { ClientCredentials } from '../client-credentials.js';
import type { SimulatorClock } from '../clock.js';
import { tellExpiry } from '../expiry.js';
import type { Work } from '../fault-player.js';
import { textField } from '../fields.js';
import type { TokenCall } from '../ledger.js';
import { isRefusal, missing, type Refusal, UNSUPPORTED_GRANT_TYPE } from '../refusal.js';
import { fingerprint } from '../secrets.js';
import type { SettingsStore } from '../settings-store.js';
import { isClient } from './client.js';
import type { AccessToken, FyndGrants, Installation, TokenEndpoint } from './grants.js';
import { refuse } from './refuse.js';
import type { FyndSettings, RenewalDialect } from './settings.js';

/** A call to one of the two token endpoints. */
export interface TokenRequest {
  readonly endpoint: TokenEndpoint;
  readonly companyId: string;
  readonly authorization: string | undefined;
  /** The body, JSON or form alike. */
  readonly fields: unknown;
}

/** The documentation renews at `offline-token` and names the code; Fynd's libraries renew at `token` and do not. */
function dialectOf({ endpoint, fields }: TokenRequest): RenewalDialect | null {
  if (endpoint === 'offline-token') return textField(fields, 'refresh_token') === null ? null : 'document';
  return textField(fields, 'grant_type') === 'refresh_token' ? 'library' : null;
}

/** The call as the ledger and the faults see it. */
export function describeCall(request: TokenRequest): TokenCall {
  const dialect = dialectOf(request);
  const fingerprints: Record<string, string> = {};
  for (const name of ['code', 'refresh_token']) {
    const secret = textField(request.fields, name);
    if (secret !== null) fingerprints[name] = fingerprint(secret);
  }
  return {
    provider: 'fynd',
    operation: dialect === null ? 'exchange' : 'renew',
    dialect,
    company_id: request.companyId,
    username: null,
    grant_id: null,
    fingerprints,
  };
}

/** A token answer, and whether a replaced refresh token was let pass for it. */
interface Granted {
  readonly body: object;
  readonly reused: boolean;
}

const UNKNOWN_CLIENT: Refusal = {
  error: 'invalid_client',
  description: 'Client authentication failed',
  status: 401,
};

/** What `oauth/token` and `oauth/offline-token` do. */
export class TokenEndpoints {
  constructor(
    private readonly client: ClientCredentials,
    private readonly settings: SettingsStore<FyndSettings>,
    private readonly grants: FyndGrants,
    private readonly clock: SimulatorClock,
  ) {}

  /** @param offsetMs how wrong the wall clock of the answer is */
  perform(request: TokenRequest, offsetMs: number): Work {
    const result = this.isFromClient(request) ? this.grant(request, offsetMs) : UNKNOWN_CLIENT;
    if (isRefusal(result)) return refuse(result, this.settings.current.error_style);
    return { answer: jsonAnswer(200, result.body), outcome: 'ok', reused: result.reused };
  }

  /** The Basic header decides; credentials that are repeated in the body must not contradict it. */
  private isFromClient({ authorization, fields }: TokenRequest): boolean {
    const { apiKey, apiSecret } = this.client;
    return (
      isClient(authorization, this.client) &&
      (textField(fields, 'client_id') ?? apiKey) === apiKey &&
      (textField(fields, 'client_secret') ?? apiSecret) === apiSecret
    );
  }

  private grant(request: TokenRequest, offsetMs: number): Granted | Refusal {
    const dialect = dialectOf(request);
    if (dialect !== null) return this.renew(request, dialect, offsetMs);
    const { endpoint, companyId, fields } = request;
    const grantType = textField(fields, 'grant_type');
    const code = textField(fields, 'code');
    if (grantType === null) return missing('grant_type');
    if (grantType !== 'authorization_code') return UNSUPPORTED_GRANT_TYPE;
    if (code === null) return missing('code');
    if (endpoint === 'token') {
      const token = this.grants.redeemOnline(code, companyId, this.client.apiKey);
      return isRefusal(token) ? token : { body: this.onlineAnswer(token, offsetMs), reused: false };
    }
    const installation = this.grants.redeemOffline(code, companyId, this.client.apiKey);
    if (isRefusal(installation)) return installation;
    return { body: this.offlineAnswer(installation, offsetMs, true), reused: false };
  }

  private renew(
    { companyId, fields }: TokenRequest,
    dialect: RenewalDialect,
    offsetMs: number,
  ): Granted | Refusal {
    const { dialects, refused_dialect_status: status, omit_refresh_token } = this.settings.current;
    if (!dialects.includes(dialect)) return { ...UNSUPPORTED_GRANT_TYPE, status, outcome: 'dialect_refused' };
    const refreshToken = textField(fields, 'refresh_token');
    if (refreshToken === null) return missing('refresh_token');
    const code = textField(fields, 'code');
    if (dialect === 'document') {
      if (textField(fields, 'grant_type') !== 'authorization_code') return UNSUPPORTED_GRANT_TYPE;
      if (code === null) return missing('code');
    }
    const renewal = this.grants.renew(refreshToken, companyId, dialect === 'document' ? code : null);
    if (isRefusal(renewal)) return renewal;
    const { installation, reused } = renewal;
    return { body: this.offlineAnswer(installation, offsetMs, !omit_refresh_token), reused };
  }

  private onlineAnswer(token: AccessToken, offsetMs: number): object {
    return {
      ...this.tokenAnswer(token, offsetMs),
      current_user: { _id: token.userId, first_name: 'Simulated', last_name: 'Seller' },
    };
  }

  private offlineAnswer(installation: Installation, offsetMs: number, withRefreshToken: boolean): object {
    return {
      ...this.tokenAnswer(installation.accessToken, offsetMs),
      ...(withRefreshToken && { refresh_token: installation.refreshToken }),
    };
  }

  private tokenAnswer(token: AccessToken, offsetMs: number): object {
    return {
      access_token: token.value,
      token_type: 'bearer',
      ...tellExpiry(this.settings.current.expiry, this.clock.now(), token.expiresAt, offsetMs),
      scope: token.scopes,
    };
  }
}
