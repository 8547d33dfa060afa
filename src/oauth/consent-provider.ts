import type { SharedProviderSettings } from '../config/provider-settings.js';
import type { IssuedToken, TokenProvider } from '../provider/token-provider.js';
import type { Failure } from '../provider/verdict.js';
import type { Secret } from '../shared/secret.js';

/** What a seller is asked to agree to. */
export interface ConsentRequest {
  readonly companyId: string;
  readonly state: string;
  readonly scopes: readonly string[];
}

/** A consent that came back. */
export interface Consent extends ConsentRequest {
  readonly code: string;
  /** All that the provider sent the browser back with, for what only its dialect knows to check. */
  readonly parameters: URLSearchParams;
}

/** A company's grant, redeemed. */
export interface CompanyGrant {
  readonly kind: 'issued';
  readonly token: IssuedToken;
  /** What to keep of it; `former` is what is kept now. */
  readonly grant: (former: Secret | null) => Secret;
}

/** A user's own token, redeemed. It is never kept as the company's. */
export interface UserToken {
  readonly kind: 'issued';
  readonly token: IssuedToken;
  /** As the provider names the user; null where it does not say. */
  readonly userId: string | null;
}

/** What a consent came to: a grant of the company, a token of the user, or both. */
export interface Redeemed {
  readonly company: CompanyGrant | Failure | null;
  readonly user: UserToken | Failure | null;
}

/** The browser came back with an answer that is not the one that was asked for. Nothing may be asked of the provider. */
export class ForeignAnswer extends Error {}

/** A provider whose grants a seller gives by consent in a browser (RFC 6749 4.1). */
export interface ConsentProvider extends TokenProvider {
  readonly settings: SharedProviderSettings & { readonly uiUrl: string | null };
  readonly clientId: string;
  /** What sellers know it as. */
  readonly title: string;
  /** Where its consents come back to, and those of no other provider of another kind or name. */
  readonly callbackPath: string;

  /** Where to send the browser, or why that cannot be known now. */
  consentUrl(request: ConsentRequest): Promise<string | Failure>;

  /** Trades the code. Throws ForeignAnswer before anything is sent. */
  redeem(consent: Consent): Promise<Redeemed>;
}

/** The configured scopes and more of them, each once. */
export function widened(scopes: readonly string[], more: readonly string[]): string[] {
  return [...new Set([...scopes, ...more])];
}
