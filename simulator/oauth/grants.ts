import { createHash } from 'node:crypto';
import { BoundedMap } from '../bounded-map.js';
import type { SimulatorClock } from '../clock.js';
import type { TokenState } from '../provider.js';
import { deadGrant, isRefusal, type Refusal } from '../refusal.js';
import { type Presented, RefreshTokens } from '../refresh-tokens.js';
import { mintSecret } from '../secrets.js';
import type { SettingsStore } from '../settings-store.js';
import type { OAuthSettings } from './settings.js';

/** What somebody consented to, or what a client got for itself. */
export interface Grant {
  readonly id: string;
  readonly userId: string;
  /** From the `login_hint` of the consent: the provider itself knows no companies. */
  readonly companyId: string | null;
  readonly scopes: readonly string[];
  refreshToken: string | null;
  isRevoked: boolean;
}

export interface AccessToken {
  readonly value: string;
  readonly grant: Grant;
  readonly scopes: readonly string[];
  /** Ms since the epoch. */
  readonly expiresAt: number;
  isRevoked: boolean;
}

/** A code, and what must come with it. */
interface Code {
  readonly grant: Grant;
  readonly redirectUri: string;
  /** RFC 7636, S256; null when none was sent. */
  readonly challenge: string | null;
  /** Ms since the epoch. */
  readonly expiresAt: number;
  isUsed: boolean;
}

/** What came of a token call. */
export interface Issued {
  readonly token: AccessToken;
  /** The refresh token had been replaced already, and was let pass. */
  readonly reused: boolean;
}

const CODE_LIFETIME_MS = 10 * 60 * 1000;
const KEPT_SECRETS = 200_000;

/** Every grant of one provider, and every code and token that came of it. */
export class OAuthGrants {
  private readonly codes = new BoundedMap<Code>(KEPT_SECRETS);
  private readonly accessTokens = new BoundedMap<AccessToken>(KEPT_SECRETS);
  private readonly refreshTokens: RefreshTokens<Grant>;
  private count = 0;

  constructor(
    private readonly name: string,
    private readonly settings: SettingsStore<OAuthSettings>,
    private readonly clock: SimulatorClock,
  ) {
    this.refreshTokens = new RefreshTokens(settings, clock);
  }

  /** A code for a consent: 10 minutes, once. */
  issueCode(
    owner: Pick<Grant, 'userId' | 'companyId' | 'scopes'>,
    redirectUri: string,
    challenge: string | null,
  ): string {
    const code = mintSecret('code');
    const expiresAt = this.clock.now() + CODE_LIFETIME_MS;
    this.codes.set(code, { grant: this.begin(owner), redirectUri, challenge, expiresAt, isUsed: false });
    return code;
  }

  /** Trades a code; the second attempt is a theft, and ends the grant where reuse does that (RFC 6749, 4.1.2). */
  redeem(value: string, redirectUri: string, verifier: string | null): Issued | Refusal {
    const code = this.codes.get(value);
    if (code === undefined) return deadGrant('The code is unknown');
    if (code.isUsed) {
      if (this.settings.current.reuse_revokes_family) this.revokeGrant(code.grant);
      return deadGrant('The code was used before');
    }
    if (code.expiresAt <= this.clock.now()) return deadGrant('The code has expired');
    if (code.redirectUri !== redirectUri) return deadGrant('redirect_uri is not that of the consent');
    if (!isProven(code.challenge, verifier)) return deadGrant('code_verifier does not fit the challenge');
    code.isUsed = true;
    this.refreshTokens.issue(code.grant);
    return { token: this.mint(code.grant, code.grant.scopes), reused: false };
  }

  /** A new token for a refresh token, with fewer scopes where that is asked for. */
  renew(refreshToken: string, scopes: readonly string[] | null): Issued | Refusal {
    const presented = this.checkPresented(this.refreshTokens.present(refreshToken));
    if (isRefusal(presented)) return presented;
    const { grant, state } = presented;
    if (scopes?.some((scope) => !grant.scopes.includes(scope))) {
      return { error: 'invalid_scope', description: 'The grant does not hold that scope', status: 400 };
    }
    this.refreshTokens.use(presented);
    return { token: this.mint(grant, scopes ?? grant.scopes), reused: state === 'in_grace' };
  }

  /** A token for the client itself, which nothing renews. */
  grantClient(clientId: string, scopes: readonly string[]): Issued {
    const grant = this.begin({ userId: clientId, companyId: null, scopes });
    return { token: this.mint(grant, scopes), reused: false };
  }

  /** RFC 7009: a refresh token takes its grant along, an access token goes alone. */
  revoke(value: string): void {
    const token = this.accessTokens.get(value);
    if (token !== undefined) token.isRevoked = true;
    const grant = this.refreshTokens.find(value)?.grant;
    if (grant !== undefined) this.revokeGrant(grant);
  }

  /** The grant that a code or a token belongs or belonged to. */
  ownerOf(secret: string): Grant | null {
    const held = this.codes.get(secret) ?? this.refreshTokens.find(secret) ?? this.accessTokens.get(secret);
    return held?.grant ?? null;
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
      const left = this.isAlive(token) ? token.expiresAt - this.clock.now() : 0;
      return { active: left > 0, kind: this.name, ...ids(token.grant), expires_in: Math.floor(left / 1000) };
    }
    const found = this.refreshTokens.find(value);
    if (found === null) return null;
    const { grant, active } = found;
    return { active, kind: 'refresh', ...ids(grant), expires_in: active ? null : 0 };
  }

  reset(): void {
    this.codes.clear();
    this.accessTokens.clear();
    this.refreshTokens.reset();
    this.count = 0;
  }

  private checkPresented(presented: Presented<Grant> | null): Presented<Grant> | Refusal {
    if (presented === null) return deadGrant('The refresh token is unknown or revoked');
    if (presented.state !== 'replaced') return presented;
    if (this.settings.current.reuse_revokes_family) this.revokeGrant(presented.grant);
    return { ...deadGrant('The refresh token was used before'), reused: true };
  }

  private begin(owner: Pick<Grant, 'userId' | 'companyId' | 'scopes'>): Grant {
    return { id: `${this.name}-grant-${++this.count}`, ...owner, refreshToken: null, isRevoked: false };
  }

  private revokeGrant(grant: Grant): void {
    grant.isRevoked = true;
    this.refreshTokens.revoke(grant);
  }

  private mint(grant: Grant, scopes: readonly string[]): AccessToken {
    const expiresAt = this.clock.now() + this.settings.current.token_ttl * 1000;
    const token = { value: mintSecret('at'), grant, scopes, expiresAt, isRevoked: false };
    this.accessTokens.set(token.value, token);
    return token;
  }

  private isAlive({ grant, isRevoked, expiresAt }: AccessToken): boolean {
    return !grant.isRevoked && !isRevoked && expiresAt > this.clock.now();
  }
}

/** The names by which tests know a grant. */
export function ids({
  companyId,
  userId,
  id,
}: Grant): Pick<TokenState, 'company_id' | 'username' | 'grant_id'> {
  return { company_id: companyId, username: userId, grant_id: id };
}

function isProven(challenge: string | null, verifier: string | null): boolean {
  // A verifier without a challenge would mean that somebody took the challenge away.
  if (challenge === null || verifier === null) return challenge === verifier;
  return createHash('sha256').update(verifier).digest('base64url') === challenge;
}
