import { type Answer, jsonAnswer } from '../answer.js';
import { askPage, redirectUriOf, sendBack, userOf } from '../consent-page.js';
import type { Work } from '../fault-player.js';
import { textField } from '../fields.js';
import type { SettingsStore } from '../settings-store.js';
import type { FyndGrants } from './grants.js';
import type { FyndSettings } from './settings.js';

/** A seller's browser at `oauth/authorize`, as it came. */
export interface Visit {
  readonly companyId: string;
  readonly query: unknown;
  /** Path and query. */
  readonly url: string;
  readonly cookies: string | undefined;
}

interface ConsentRequest {
  readonly companyId: string;
  readonly clientId: string;
  readonly redirectUri: URL;
  readonly state: string | null;
  readonly scopes: readonly string[];
  /** What the seller clicked on the page; null before there was a page. */
  readonly decision: string | null;
}

/** The consent page and the redirect that follows it. */
export class ConsentPage {
  constructor(
    private readonly apiKey: string,
    private readonly settings: SettingsStore<FyndSettings>,
    private readonly grants: FyndGrants,
  ) {}

  perform(visit: Visit): Work {
    const request = this.read(visit);
    if (typeof request === 'string') {
      return {
        answer: jsonAnswer(400, { message: request, status: 400, code: 'BAD_REQUEST' }),
        outcome: 'invalid_request',
      };
    }
    const decision = this.decide(request);
    switch (decision) {
      case 'approve':
        return { answer: this.approve(request, visit.cookies), outcome: 'ok' };
      case 'deny':
        return { answer: deny(request), outcome: 'access_denied' };
      case 'ask':
        return { answer: ask(request, visit.url), outcome: 'asked' };
    }
  }

  /** A code that no browser asked for: the extension is installed from the panel, with the scopes of its details. */
  issueCode(companyId: string): string {
    const { user_id: userId, extension_scopes } = this.settings.current;
    const scopes = this.granted(extension_scopes);
    return this.grants.issueCode({ companyId, clientId: this.apiKey, userId, scopes });
  }

  /** The request, or the sentence that says why it is none. */
  private read({ companyId, query }: Visit): ConsentRequest | string {
    const clientId = textField(query, 'client_id');
    if (clientId !== this.apiKey) return 'client_id is unknown';
    const redirectUri = redirectUriOf(textField(query, 'redirect_uri'));
    if (redirectUri === null) return 'redirect_uri must be an absolute URL';
    if (textField(query, 'response_type') !== 'code') return 'response_type must be code';
    if (!['offline', 'online'].includes(textField(query, 'access_mode') ?? 'offline')) {
      return 'access_mode must be offline or online';
    }
    return {
      companyId,
      clientId,
      redirectUri,
      state: textField(query, 'state'),
      scopes: (textField(query, 'scope') ?? '').split(',').filter((scope) => scope !== ''),
      decision: textField(query, 'decision'),
    };
  }

  private decide({ companyId, scopes, decision }: ConsentRequest): FyndSettings['consent'] {
    const { consent } = this.settings.current;
    if (consent !== 'ask') return consent;
    if (this.grants.isInstalled(companyId, this.granted(scopes))) return 'approve';
    return decision === 'approve' || decision === 'deny' ? decision : 'ask';
  }

  private approve(request: ConsentRequest, cookies: string | undefined): Answer {
    const { companyId, clientId, scopes } = request;
    const userId = userOf(cookies, this.settings.current.user_id);
    const code = this.grants.issueCode({ companyId, clientId, userId, scopes: this.granted(scopes) });
    return goBack(request, { code });
  }

  private granted(scopes: readonly string[]): readonly string[] {
    const { granted_scopes } = this.settings.current;
    return granted_scopes === null ? scopes : scopes.filter((scope) => granted_scopes.includes(scope));
  }
}

function deny(request: ConsentRequest): Answer {
  return goBack(request, {
    error: 'access_denied',
    error_description: 'The seller declined the extension',
  });
}

function ask({ companyId, scopes }: ConsentRequest, url: string): Answer {
  return askPage(`Install the extension in company ${companyId}?`, scopes, url);
}

function goBack(request: ConsentRequest, parameters: Readonly<Record<string, string>>): Answer {
  const { redirectUri, state, clientId, companyId } = request;
  return sendBack(redirectUri, { ...parameters, state, client_id: clientId, company_id: companyId });
}
