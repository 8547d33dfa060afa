import { jsonAnswer } from '../answer.js';
import type { ClientCredentials } from '../client-credentials.js';
import type { SimulatorClock } from '../clock.js';
import { tellExpiry } from '../expiry.js';
import type { Work } from '../fault-player.js';
import { textField } from '../fields.js';
import { isRefusal, missing, type Refusal, UNSUPPORTED_GRANT_TYPE } from '../refusal.js';
import type { SettingsStore } from '../settings-store.js';
import { refuseClient } from './client-check.js';
import type { Dialect } from './dialect.js';
import type { Issued, OAuthGrants } from './grants.js';
import { refuse } from './refuse.js';
import { scopesOf } from './scopes.js';
import { GRANT_TYPES, type GrantType, type OAuthSettings } from './settings.js';

/** A call that the client makes by itself, as it came. */
export interface ClientCall {
  readonly authorization: string | undefined;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  /** The body, JSON or form alike. */
  readonly fields: unknown;
}

const NO_TOKEN: Refusal = { error: 'invalid_request', description: 'token is missing', status: 400 };

/** What the token endpoint and the revocation endpoint do. */
export class TokenEndpoint {
  constructor(
    private readonly dialect: Dialect,
    private readonly client: ClientCredentials,
    private readonly settings: SettingsStore<OAuthSettings>,
    private readonly grants: OAuthGrants,
    private readonly clock: SimulatorClock,
  ) {}

  /** @param offsetMs how wrong the wall clock of the answer is */
  giveToken(call: ClientCall, offsetMs: number): Work {
    const refusal = this.refuseCall(call);
    const result = refusal ?? this.grant(call.fields);
    if (isRefusal(result)) return this.refuse(result, call);
    const isRenewal = textField(call.fields, 'grant_type') === 'refresh_token';
    const { headers, ...answer } = jsonAnswer(200, this.tokenAnswer(result, isRenewal, offsetMs));
    return {
      answer: { ...answer, headers: { ...headers, 'cache-control': 'no-store' } },
      outcome: 'ok',
      reused: result.reused,
    };
  }

  /** RFC 7009: whatever the token was, it is dead now. */
  revoke(call: ClientCall): Work {
    const token = textField(call.fields, 'token');
    const refusal = this.refuseCall(call) ?? (token === null ? NO_TOKEN : null);
    if (refusal !== null) return this.refuse(refusal, call);
    if (token !== null) this.grants.revoke(token);
    return { answer: { status: 200, headers: {}, body: '' }, outcome: 'ok' };
  }

  private refuseCall({ authorization, accept, contentType, fields }: ClientCall): Refusal | null {
    const { current } = this.settings;
    if (this.dialect.answersJsonOnly && !acceptsJson(accept)) {
      return { error: 'invalid_request', description: 'There is nothing but JSON', status: 406 };
    }
    const body = contentType?.startsWith('application/json') ? 'json' : 'form';
    if (!current.bodies.includes(body)) {
      return { error: 'invalid_request', description: `The body must not be ${body}`, status: 400 };
    }
    return refuseClient(authorization, fields, this.client, current, this.dialect);
  }

  private refuse(refusal: Refusal, { authorization }: ClientCall): Work {
    const work = refuse(refusal, this.settings.current.error_style);
    const isChallenged = this.dialect.challengesClients && refusal.status === 401 && authorization;
    if (!isChallenged) return work;
    const headers = { ...work.answer.headers, 'www-authenticate': 'Basic realm="simulator"' };
    return { ...work, answer: { ...work.answer, headers } };
  }

  private grant(fields: unknown): Issued | Refusal {
    const grantType = textField(fields, 'grant_type');
    if (grantType === null) return missing('grant_type');
    if (!isGrantType(grantType) || !this.settings.current.grants.includes(grantType)) {
      return UNSUPPORTED_GRANT_TYPE;
    }
    switch (grantType) {
      case 'authorization_code':
        return this.redeem(fields);
      case 'refresh_token': {
        const refreshToken = textField(fields, 'refresh_token');
        return refreshToken === null
          ? missing('refresh_token')
          : this.grants.renew(refreshToken, scopesOf(fields));
      }
      case 'client_credentials': {
        const { granted_scopes } = this.settings.current;
        const asked = scopesOf(fields) ?? granted_scopes ?? [];
        return this.grants.grantClient(
          this.client.apiKey,
          granted_scopes === null ? asked : asked.filter((scope) => granted_scopes.includes(scope)),
        );
      }
    }
  }

  private redeem(fields: unknown): Issued | Refusal {
    const code = textField(fields, 'code');
    const redirectUri = textField(fields, 'redirect_uri');
    if (code === null) return missing('code');
    if (redirectUri === null) return missing('redirect_uri');
    return this.grants.redeem(code, redirectUri, textField(fields, 'code_verifier'));
  }

  private tokenAnswer({ token }: Issued, isRenewal: boolean, offsetMs: number): object {
    const { expiry, omit_refresh_token } = this.settings.current;
    const { refreshToken } = token.grant;
    const isTold = refreshToken !== null && !(isRenewal && omit_refresh_token);
    return {
      access_token: token.value,
      ...(isTold && { refresh_token: refreshToken }),
      ...tellExpiry(expiry, this.clock.now(), token.expiresAt, offsetMs),
      ...this.dialect.describeToken(token.scopes),
    };
  }
}

function isGrantType(value: string): value is GrantType {
  return (GRANT_TYPES as readonly string[]).includes(value);
}

/** Absent means anything. */
function acceptsJson(accept: string | undefined): boolean {
  return accept === undefined || /(\*\/\*|application\/(json|\*))/i.test(accept);
}
