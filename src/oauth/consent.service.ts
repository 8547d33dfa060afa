import { Injectable, Logger } from '@nestjs/common';
import { MADE_NO_SENSE, type Failure } from '../provider/verdict.js';
import type { Actor } from '../shared/actor.js';
import { AuthorizeLinks } from './authorize-link.js';
import { BrowserError, type Beginning } from './browser-error.js';
import { ConsentKeeper, RefusedConsent } from './consent-keeper.js';
import { ForeignAnswer, widened, type Consent, type ConsentProvider } from './consent-provider.js';
import { ConsentProviders } from './consent-providers.js';
import { ConsentStates, type BegunConsent } from './consent-state.js';
import { ConsumedStateStore } from './consumed-state.store.js';
import { isSafePath, landingUrl } from './landing.js';

/** Where to send the browser, and the cookie that it takes along. */
export interface Departure {
  readonly url: string;
  readonly cookie: string;
}

/** Where the seller ends up (null: nowhere, show a page), and the cookie to take away. */
export interface Arrival {
  readonly url: string | null;
  readonly cookie: string;
  readonly companyId: string;
  readonly title: string;
}

/** What a browser came back from consent with. */
export interface Callback {
  readonly state: string;
  readonly code: string;
  readonly cookieHeader: string | undefined;
  readonly parameters: URLSearchParams;
  /** The path that it came back to, which must be the provider's. */
  readonly path: string;
  /** What the address itself says of the consent, which must be what it was begun for. */
  readonly claims: Partial<Pick<BegunConsent, 'companyId' | 'clientId'>>;
  /** Whose browser it is, as far as anybody knows. */
  readonly actor: Actor;
}

/** A consent from the seller's first click to the grant that is kept. */
@Injectable()
export class ConsentService {
  readonly #logger = new Logger('Consent');

  constructor(
    private readonly providers: ConsentProviders,
    private readonly states: ConsentStates,
    private readonly links: AuthorizeLinks,
    private readonly consumed: ConsumedStateStore,
    private readonly kept: ConsentKeeper,
  ) {}

  /** Begins with this provider. Writes nothing, asks nobody for anything but where to go. */
  async begin(
    provider: ConsentProvider,
    begun: Omit<BegunConsent, 'provider' | 'clientId'>,
  ): Promise<Departure> {
    const { companyId, scopes = [], redirectPath } = begun;
    if (redirectPath !== undefined && (provider.settings.uiUrl === null || !isSafePath(redirectPath))) {
      throw BrowserError.badPath();
    }
    const { name, clientId, settings } = provider;
    const { state, cookie } = await this.states.begin(
      { ...begun, provider: name, clientId },
      settings.publicUrl,
    );
    const asked = widened(provider.scopes, scopes);
    const url = await provider.consentUrl({ companyId, state, scopes: asked });
    if (typeof url !== 'string') throw refusal(provider, url, null);
    this.kept.tellBegun(provider);
    return { url, cookie };
  }

  /** Begins on a link, which is used up by that. */
  async beginOnLink(providerName: string, link: string): Promise<Departure> {
    const read = await this.links.read(link);
    const provider = read && this.providers.byName(read.consent.provider);
    if (!provider || provider.name !== providerName) throw BrowserError.unknownLink();
    const departure = await this.begin(provider, read.consent);
    if (!(await this.consumed.consume(`link ${read.id}`))) throw BrowserError.unknownLink();
    return departure;
  }

  /**
   * Redeems the code and keeps what comes of it. Nothing is asked of the provider before the state has proven that this
   * browser began this consent, for this company, in time, and has not come back with it before.
   */
  async complete(callback: Callback, beginning: Beginning): Promise<Arrival> {
    const { state, code, cookieHeader, parameters, path, claims } = callback;
    const begun = await this.states.read(
      state,
      cookieHeader,
      (name) => this.providers.byName(name)?.settings.publicUrl,
    );
    const provider = begun && this.providers.byName(begun.provider);
    if (!begun || !provider) throw BrowserError.unknownState(beginning);
    const isClaimed = Object.entries(claims).every(
      ([name, value]) => begun[name as keyof BegunConsent] === value,
    );
    // A server that was mixed up with another sends the code of one to the address of the other (RFC 9700 4.4).
    if (!isClaimed || path !== provider.callbackPath) throw BrowserError.mismatch(beginning);
    const { companyId, redirectPath, applicationId } = begun;
    const scopes = widened(provider.scopes, begun.scopes ?? []);
    // What comes back for nothing takes nobody's turn.
    if (await this.consumed.isConsumed(state)) throw BrowserError.usedState(beginning);
    const consent = { companyId, state, scopes, code, parameters };
    const redeemed = await this.#redeem(provider, consent, callback.actor, beginning);
    // Nothing was used up: the browser may ask again.
    if (!redeemed) throw BrowserError.busy();
    const { ticket } = redeemed;
    return {
      url: landingUrl(provider.settings.uiUrl, companyId, redirectPath, {
        application_id: applicationId,
        ticket,
      }),
      cookie: this.states.end(state, provider.settings.publicUrl),
      companyId,
      title: provider.title,
    };
  }

  /** What sellers know a provider as, whatever name an address has. */
  titleOf(providerName: string): string {
    return this.providers.byName(providerName)?.title ?? 'The other side';
  }

  /** The ticket of a user's session, where there is one; undefined where the provider is busy. */
  async #redeem(
    provider: ConsentProvider,
    consent: Consent,
    actor: Actor,
    beginning: Beginning,
  ): Promise<{ ticket: string | undefined } | undefined> {
    try {
      return await this.kept.redeem(provider, consent, actor, async () => {
        if (!(await this.consumed.consume(consent.state))) throw BrowserError.usedState(beginning);
      });
    } catch (error) {
      if (error instanceof ForeignAnswer) throw BrowserError.mismatch(beginning);
      if (!(error instanceof RefusedConsent)) throw error;
      const { failure, isCompanyKept } = error;
      this.#logger.warn(`${provider.name}: a consent could not be redeemed (${failure.code})`);
      const again = beginning === 'extension' ? await provider.reauthorizeUrl(consent.companyId, []) : null;
      const refused = refusal(provider, failure, again);
      throw isCompanyKept ? BrowserError.noSession(refused.code, provider.title, again) : refused;
    }
  }
}

function refusal({ title }: ConsentProvider, failure: Failure, again: string | null): BrowserError {
  if (failure.kind === 'misconfigured') return BrowserError.misconfigured(title);
  if (MADE_NO_SENSE.has(failure.code)) return BrowserError.nonsense(title, again);
  return failure.kind === 'unavailable'
    ? BrowserError.unavailable(title, again)
    : BrowserError.refusedCode(title, again);
}
