import { type Answer, jsonAnswer } from '../answer.js';
import { askPage, redirectUriOf, sendBack, userOf } from '../consent-page.js';
import type { Work } from '../fault-player.js';
import { textField } from '../fields.js';
import type { SettingsStore } from '../settings-store.js';
import type { OAuthGrants } from './grants.js';
import { scopesOf } from './scopes.js';
import type { OAuthSettings } from './settings.js';

/** A browser at the authorization endpoint, as it came. */
export interface Visit {
  readonly query: unknown;
  /** Path and query. */
  readonly url: string;
  readonly cookies: string | undefined;
}

/** The authorization endpoint: consent, and the way back. */
export class AuthorizationEndpoint {
  constructor(
    private readonly clientId: string,
    private readonly settings: SettingsStore<OAuthSettings>,
    private readonly grants: OAuthGrants,
  ) {}

  /** Mistakes in `client_id` and `redirect_uri` are told here, all others to the client. */
  perform(visit: Visit): Work {
    const { query } = visit;
    if (textField(query, 'client_id') !== this.clientId) return refusedHere('client_id is unknown');
    const redirectUri = redirectUriOf(textField(query, 'redirect_uri'));
    if (redirectUri === null) return refusedHere('redirect_uri must be an absolute URL');
    const state = textField(query, 'state');
    const mistake = this.mistakeIn(query);
    if (mistake !== null) {
      const [error, error_description] = mistake;
      return { answer: sendBack(redirectUri, { error, error_description, state }), outcome: error };
    }
    const decision = this.decide(query);
    switch (decision) {
      case 'approve':
        return {
          answer: sendBack(redirectUri, { code: this.issueCode(visit), state }),
          outcome: 'ok',
        };
      case 'deny':
        return {
          answer: sendBack(redirectUri, { error: 'access_denied', state }),
          outcome: 'access_denied',
        };
      case 'ask':
        return { answer: this.ask(visit), outcome: 'asked' };
    }
  }

  private mistakeIn(query: unknown): readonly [error: string, description: string] | null {
    if (textField(query, 'response_type') !== 'code')
      return ['unsupported_response_type', 'response_type must be code'];
    const challenge = textField(query, 'code_challenge');
    const isS256 = textField(query, 'code_challenge_method') === 'S256';
    if (challenge !== null && !isS256) return ['invalid_request', 'code_challenge_method must be S256'];
    if (challenge === null && this.settings.current.require_pkce)
      return ['invalid_request', 'code_challenge is missing'];
    return null;
  }

  private decide(query: unknown): OAuthSettings['consent'] {
    const { consent } = this.settings.current;
    const decision = textField(query, 'decision');
    if (consent !== 'ask') return consent;
    return decision === 'approve' || decision === 'deny' ? decision : 'ask';
  }

  private issueCode({ query, cookies }: Visit): string {
    const { granted_scopes, user_id } = this.settings.current;
    const asked = scopesOf(query) ?? [];
    const owner = {
      userId: userOf(cookies, user_id),
      companyId: textField(query, 'login_hint'),
      scopes: granted_scopes === null ? asked : asked.filter((scope) => granted_scopes.includes(scope)),
    };
    const redirectUri = textField(query, 'redirect_uri') ?? '';
    return this.grants.issueCode(owner, redirectUri, textField(query, 'code_challenge'));
  }

  private ask({ query, url, cookies }: Visit): Answer {
    const user = userOf(cookies, this.settings.current.user_id);
    return askPage(`Let ${this.clientId} act for ${user}?`, scopesOf(query) ?? [], url);
  }
}

function refusedHere(message: string): Work {
  return { answer: jsonAnswer(400, { error: 'invalid_request', message }), outcome: 'invalid_request' };
}
