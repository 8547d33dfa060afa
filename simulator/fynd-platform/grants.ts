import { BoundedMap } from '../bounded-map.js';
import type { SimulatorClock } from '../clock.js';
import type { TokenState } from '../provider.js';
import { RefreshTokens } from '../refresh-tokens.js';
import { deadGrant, isRefusal, type Refusal } from '../refusal.js';
import { mintSecret } from '../secrets.js';
import type { SettingsStore } from '../settings-store.js';
import type { FyndSettings } from './settings.js';

export type TokenEndpoint = 'token' | 'offline-token';

/** What a seller consented to. */
export interface Consent {
  readonly companyId: string;
  readonly clientId: string;
  readonly userId: string;
  readonly scopes: readonly string[];
}

interface Code extends Consent {
  /** Ms since the epoch. */
  readonly expiresAt: number;
  readonly redeemedAt: Set<TokenEndpoint>;
}

export interface AccessToken {
  readonly value: string;
  readonly kind: 'offline' | 'online';
  readonly companyId: string;
  readonly userId: string;
  readonly scopes: readonly string[];
  /** Ms since the epoch. */
  readonly expiresAt: number;
  isRevoked: boolean;
}

/** The extension in one company: one offline token and one refresh token at a time. */
export interface Installation {
  readonly companyId: string;
  readonly userId: string;
  readonly codes: Set<string>;
  scopes: readonly string[];
  accessToken: AccessToken;
  refreshToken: string | null;
}

/** What came of a renewal. */
export interface Renewal {
  readonly installation: Installation;
  /** The refresh token had been replaced already, and was let pass. */
  readonly reused: boolean;
}

const CODE_LIFETIME_MS = 10 * 60 * 1000;
const KEPT_SECRETS = 200_000;

/** Who has installed the extension, and every code and token that came of it. */
export class FyndGrants {
  private readonly codes = new BoundedMap<Code>(KEPT_SECRETS);
  private readonly accessTokens = new BoundedMap<AccessToken>(KEPT_SECRETS);
  private readonly installations = new Map<string, Installation>();
  private readonly refreshTokens: RefreshTokens<Installation>;

  constructor(
    private readonly settings: SettingsStore<FyndSettings>,
    private readonly clock: SimulatorClock,
  ) {
    this.refreshTokens = new RefreshTokens(settings, clock);
  }

  /** A code for a consent: 10 minutes, once at each endpoint. */
  issueCode(consent: Consent): string {
    const code = mintSecret('code');
    this.codes.set(code, {
      ...consent,
      expiresAt: this.clock.now() + CODE_LIFETIME_MS,
      redeemedAt: new Set(),
    });
    return code;
  }

  /** Whether the company has installed the extension with at least these scopes, so that nobody needs to be asked. */
  isInstalled(companyId: string, scopes: readonly string[]): boolean {
    const held = this.installations.get(companyId)?.scopes;
    return held !== undefined && scopes.every((scope) => held.includes(scope));
  }

  /** Trades a code for a user's own token, which nothing renews. */
  redeemOnline(value: string, companyId: string, clientId: string): AccessToken | Refusal {
    const code = this.redeem(value, 'token', companyId, clientId);
    return isRefusal(code) ? code : this.mint('online', code);
  }

  /**
   * Trades a code for the company's offline token: the one it has, as long as that lives and its scopes suffice.
   */
  redeemOffline(value: string, companyId: string, clientId: string): Installation | Refusal {
    const code = this.redeem(value, 'offline-token', companyId, clientId);
    if (isRefusal(code)) return code;
    const installation = this.installations.get(companyId) ?? this.install(code);
    installation.codes.add(value);
    const scopes = [...new Set([...installation.scopes, ...code.scopes])];
    const isWider = scopes.length > installation.scopes.length;
    installation.scopes = scopes;
    if (isWider || !this.isAlive(installation.accessToken)) {
      installation.accessToken = this.mint('offline', installation);
    }
    return installation;
  }

  /**
   * A new offline token for a refresh token.
   * @param code the code that the renewal names as its origin; null in the dialect that sends none
   */
  renew(refreshToken: string, companyId: string, code: string | null): Renewal | Refusal {
    const presented = this.refreshTokens.present(refreshToken);
    if (presented?.grant.companyId !== companyId) return deadGrant('The refresh token is unknown or revoked');
    const { grant: installation, state } = presented;
    if (state === 'replaced') {
      if (this.settings.current.reuse_revokes_family) this.revoke(installation);
      return { ...deadGrant('The refresh token was used before'), reused: true };
    }
    if (code !== null && !installation.codes.has(code))
      return deadGrant('The code does not belong to this grant');
    installation.accessToken = this.mint('offline', installation);
    this.refreshTokens.use(presented);
    return { installation, reused: state === 'in_grace' };
  }

  /** Ends everything that the company had granted. False when there was no installation. */
  uninstall(companyId: string): boolean {
    for (const token of this.accessTokens.values()) {
      if (token.companyId === companyId) token.isRevoked = true;
    }
    for (const [value, code] of this.codes) {
      if (code.companyId === companyId) this.codes.delete(value);
    }
    const installation = this.installations.get(companyId);
    if (installation === undefined) return false;
    this.revoke(installation);
    return true;
  }

  /** The access token of that value, as long as it is good. */
  livingToken(value: string): AccessToken | null {
    const token = this.accessTokens.get(value);
    return token !== undefined && this.isAlive(token) ? token : null;
  }

  /** What became of an access token or a refresh token; null when it was never minted. */
  find(value: string): TokenState | null {
    const token = this.accessTokens.get(value);
    if (token !== undefined) {
      const active = this.isAlive(token);
      const expires_in = active ? Math.floor((token.expiresAt - this.clock.now()) / 1000) : 0;
      return {
        active,
        kind: token.kind,
        company_id: token.companyId,
        username: null,
        grant_id: null,
        expires_in,
      };
    }
    const found = this.refreshTokens.find(value);
    if (found === null) return null;
    const { grant, active } = found;
    return {
      active,
      kind: 'refresh',
      company_id: grant.companyId,
      username: null,
      grant_id: null,
      expires_in: active ? null : 0,
    };
  }

  reset(): void {
    this.codes.clear();
    this.accessTokens.clear();
    this.installations.clear();
    this.refreshTokens.reset();
  }

  private redeem(
    value: string,
    endpoint: TokenEndpoint,
    companyId: string,
    clientId: string,
  ): Code | Refusal {
    const code = this.codes.get(value);
    if (code?.companyId !== companyId || code.clientId !== clientId) return deadGrant('The code is unknown');
    if (code.expiresAt <= this.clock.now()) return deadGrant('The code has expired');
    if (code.redeemedAt.has(endpoint)) return deadGrant('The code was used before');
    code.redeemedAt.add(endpoint);
    return code;
  }

  private install({ companyId, userId, scopes }: Consent): Installation {
    const accessToken = this.mint('offline', { companyId, userId, scopes });
    const codes = new Set<string>();
    const installation: Installation = { companyId, userId, codes, scopes, accessToken, refreshToken: null };
    this.installations.set(companyId, installation);
    this.refreshTokens.issue(installation);
    return installation;
  }

  /** Ends what came of one installation: online tokens are its users' own. The next consent begins a new one. */
  private revoke(installation: Installation): void {
    const { companyId } = installation;
    if (this.installations.get(companyId) !== installation) return;
    for (const token of this.accessTokens.values()) {
      if (token.kind === 'offline' && token.companyId === companyId) token.isRevoked = true;
    }
    this.refreshTokens.revoke(installation);
    this.installations.delete(companyId);
  }

  private mint(kind: AccessToken['kind'], owner: Omit<Consent, 'clientId'>): AccessToken {
    const { companyId, userId, scopes } = owner;
    const { token_ttl, online_token_ttl } = this.settings.current;
    const ttl = kind === 'online' ? online_token_ttl : token_ttl;
    const expiresAt = this.clock.now() + ttl * 1000;
    const token = { value: mintSecret('at'), kind, companyId, userId, scopes, expiresAt, isRevoked: false };
    this.accessTokens.set(token.value, token);
    return token;
  }

  private isAlive(token: AccessToken): boolean {
    return !token.isRevoked && token.expiresAt > this.clock.now();
  }
}
