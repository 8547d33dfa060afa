import { Injectable, Logger } from '@nestjs/common';
import { MADE_NO_SENSE } from '../provider/verdict.js';
import { GrantKeeper } from '../token/grant-keeper.js';
import { TokenRenewer } from '../token/token-renewer.js';
import { BrowserError } from './browser-error.js';
import { ConsumedStateStore } from './consumed-state.store.js';
import { FyndPlatformProviders } from './fynd-platform.providers.js';
import type { FyndPlatformProvider, Redeemed } from './fynd-platform.provider.js';
import { InstallStates } from './install-state.js';
import { isSafePath, landingUrl } from './landing.js';

/** What `/fp/install` came with. */
export interface InstallRequest {
  readonly companyId: string;
  readonly clientId: string;
  readonly clusterUrl: string | undefined;
  readonly redirectPath: string | undefined;
}

/** What `/fp/auth` came with. */
export interface Callback {
  readonly companyId: string;
  readonly clientId: string;
  readonly state: string;
  readonly code: string;
  readonly cookieHeader: string | undefined;
}

/** The life of an install: from the seller's first click to the grant that is kept. */
@Injectable()
export class InstallService {
  readonly #logger = new Logger('Install');

  constructor(
    private readonly providers: FyndPlatformProviders,
    private readonly states: InstallStates,
    private readonly consumed: ConsumedStateStore,
    private readonly keeper: GrantKeeper,
    private readonly renewer: TokenRenewer,
  ) {}

  /** Where to send the browser for consent, and the cookie that it takes along. Writes nothing, asks nobody. */
  async begin({
    companyId,
    clientId,
    clusterUrl,
    redirectPath,
  }: InstallRequest): Promise<{ url: string; cookie: string }> {
    const provider = this.providers.select(clientId, clusterUrl);
    if (!provider) throw BrowserError.unknownExtension();
    if (redirectPath !== undefined && (provider.settings.uiUrl === null || !isSafePath(redirectPath))) {
      throw BrowserError.badPath();
    }
    const install = {
      provider: provider.name,
      companyId,
      clientId,
      ...(redirectPath === undefined ? {} : { redirectPath }),
    };
    const { state, cookie } = await this.states.begin(install, provider.settings.publicUrl);
    return { url: provider.consentUrl(companyId, state), cookie };
  }

  /**
   * Redeems the code and keeps the grant. Nothing is asked of the provider before the state has proven that this browser
   * began this install, for this company, in time, and has not come back with it before.
   *
   * @returns where to send the browser (null: nowhere, show a page) and the cookie to take away
   */
  async complete(callback: Callback): Promise<{ url: string | null; cookie: string }> {
    const install = await this.states.read(
      callback.state,
      callback.cookieHeader,
      (name) => this.providers.byName(name)?.settings.publicUrl,
    );
    const provider = install && this.providers.byName(install.provider);
    if (!install || !provider) throw BrowserError.unknownState();
    if (install.companyId !== callback.companyId || install.clientId !== callback.clientId)
      throw BrowserError.mismatch();
    if (!(await this.consumed.consume(callback.state))) throw BrowserError.usedState();

    // A stop waits for it: the code is spent once it is sent.
    await this.renewer.track(this.#redeem(provider, install.companyId, callback.code));
    return {
      url: landingUrl(provider.settings.uiUrl, install.companyId, install.redirectPath),
      cookie: this.states.end(callback.state, provider.settings.publicUrl),
    };
  }

  async #redeem(provider: FyndPlatformProvider, companyId: string, code: string): Promise<void> {
    const redeemed = await provider.redeem(companyId, code);
    if (redeemed.kind !== 'issued') throw this.#refused(provider, companyId, redeemed);
    const subject = { provider: provider.name, companyId, locationId: null };
    const adopted = await this.keeper.adopt(provider, subject, {
      grant: redeemed.grant,
      credential: null,
      scopes: redeemed.token.scopes ?? [],
      token: redeemed.token,
    });
    this.#logger.log(
      `${provider.name} ${adopted?.connection.id}: ${adopted?.created ? 'connected' : 'connected again'}`,
    );
  }

  #refused(
    provider: FyndPlatformProvider,
    companyId: string,
    outcome: Exclude<Redeemed, { kind: 'issued' }>,
  ): BrowserError {
    this.#logger.warn(`${provider.name}: a consent could not be redeemed (${outcome.code})`);
    const again = provider.reauthorizeUrl(companyId);
    if (outcome.kind === 'misconfigured') return BrowserError.misconfigured();
    if (MADE_NO_SENSE.has(outcome.code)) return BrowserError.nonsense(again);
    return outcome.kind === 'unavailable' ? BrowserError.unavailable(again) : BrowserError.refusedCode(again);
  }
}
