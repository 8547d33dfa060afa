import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Upstream } from '../provider/upstream.js';
import { Clock } from '../shared/clock.js';
import { Vault } from '../vault/vault.js';
import { AuthorizeLinks } from './authorize-link.js';
import type { ConsentProvider } from './consent-provider.js';
import { FyndPlatformProvider } from './fynd-platform.provider.js';
import { OAuth2Provider } from './oauth2.provider.js';

/** The configured providers that speak OAuth, and which of them a browser's parameters mean. */
@Injectable()
export class ConsentProviders {
  readonly #fynd: readonly FyndPlatformProvider[];
  readonly #others: readonly OAuth2Provider[];

  constructor(
    @Inject(SETTINGS) settings: Settings,
    upstream: Upstream,
    links: AuthorizeLinks,
    vault: Vault,
    @Inject(Clock) clock: Clock,
  ) {
    this.#fynd = settings.providers
      .filter((provider) => provider.kind === 'fynd-platform')
      .map((provider) => new FyndPlatformProvider(provider, upstream, links));
    this.#others = settings.providers
      .filter((provider) => provider.kind === 'oauth2')
      .map((provider) => new OAuth2Provider(provider, upstream, clock, vault, links));
  }

  get all(): readonly ConsentProvider[] {
    return [...this.#fynd, ...this.#others];
  }

  /** All extensions of Fynd Platform. */
  get extensions(): readonly FyndPlatformProvider[] {
    return this.#fynd;
  }

  /**
   * The one extension with this client_id and, where a cluster came from outside, on this origin. What came from outside
   * selects among what is configured and is never used itself. Undefined where none or several fit.
   */
  selectExtension(clientId: string, clusterUrl: string | undefined): FyndPlatformProvider | undefined {
    const origin = clusterUrl === undefined ? undefined : originOf(clusterUrl);
    const fitting = this.#fynd.filter(
      ({ settings }) =>
        settings.apiKey === clientId &&
        (clusterUrl === undefined || new URL(settings.baseUrl).origin === origin),
    );
    return fitting.length === 1 ? fitting[0] : undefined;
  }

  /** The provider of this name to which a seller can consent. */
  byName(name: string): ConsentProvider | undefined {
    const other = this.#others.find((provider) => provider.name === name);
    if (other) return other.settings.grant === 'authorization_code' ? other : undefined;
    return this.#fynd.find((provider) => provider.name === name);
  }
}

function originOf(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : null;
  return url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
    ? url.origin
    : undefined;
}
