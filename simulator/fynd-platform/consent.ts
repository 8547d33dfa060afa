import { type Answer, htmlAnswer, jsonAnswer, redirectAnswer } from '../answer.js';
import type { Work } from '../fault-player.js';
import { textField } from '../fields.js';
import type { SettingsStore } from '../settings-store.js';
import type { FyndGrants } from './grants.js';
import type { FyndSettings } from './settings.js';

/** A seller's browser at `oauth/authorize`. */
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

  /** @param url path and query as the browser asked for them: the page's links repeat it with the decision added */
  perform(companyId: string, query: unknown, url: string): Work {
    const request = this.read(companyId, query);
    if (typeof request === 'string') {
      return {
        answer: jsonAnswer(400, { message: request, status: 400, code: 'BAD_REQUEST' }),
        outcome: 'invalid_request',
      };
    }
    const decision = this.decide(request);
    switch (decision) {
      case 'approve':
        return { answer: this.approve(request), outcome: 'ok' };
      case 'deny':
        return { answer: deny(request), outcome: 'access_denied' };
      case 'ask':
        return { answer: ask(request, url), outcome: 'asked' };
    }
  }

  /** The request, or the sentence that says why it is none. Nothing is sent to a redirect_uri before it was checked. */
  private read(companyId: string, query: unknown): ConsentRequest | string {
    const clientId = textField(query, 'client_id');
    if (clientId !== this.apiKey) return 'client_id is unknown';
    const redirectUri = URL.parse(textField(query, 'redirect_uri') ?? '');
    if (redirectUri === null || !/^https?:$/.test(redirectUri.protocol))
      return 'redirect_uri must be an absolute URL';
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

  private approve(request: ConsentRequest): Answer {
    const { companyId, clientId, scopes } = request;
    const userId = this.settings.current.user_id;
    const code = this.grants.issueCode({ companyId, clientId, userId, scopes: this.granted(scopes) });
    return sendBack(request, { code });
  }

  private granted(scopes: readonly string[]): readonly string[] {
    const { granted_scopes } = this.settings.current;
    return granted_scopes === null ? scopes : scopes.filter((scope) => granted_scopes.includes(scope));
  }
}

function deny(request: ConsentRequest): Answer {
  return sendBack(request, {
    error: 'access_denied',
    error_description: 'The seller declined the extension',
  });
}

function sendBack(request: ConsentRequest, parameters: Readonly<Record<string, string>>): Answer {
  const { redirectUri, state, clientId, companyId } = request;
  const target = new URL(redirectUri);
  const all = { ...parameters, ...(state !== null && { state }), client_id: clientId, company_id: companyId };
  for (const [name, value] of Object.entries(all)) target.searchParams.set(name, value);
  return redirectAnswer(target.href);
}

function ask({ companyId, scopes }: ConsentRequest, url: string): Answer {
  const link = (decision: string): string => `<a href="${escapeHtml(`${url}&decision=${decision}`)}">`;
  return htmlAnswer(
    200,
    `<!doctype html>
<title>Simulated consent</title>
<h1>Install the extension in company ${escapeHtml(companyId)}?</h1>
<p>It asks for: ${escapeHtml(scopes.join(', ') || 'nothing')}</p>
<p>${link('approve')}Approve</a> ${link('deny')}Deny</a></p>
`,
  );
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
