import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { parseCookie, stringifySetCookie } from 'cookie';
import { jwtVerify, SignJWT } from 'jose';
import { isLoopbackHost } from '../config/addresses.js';
import { Clock } from '../shared/clock.js';
import { Vault } from '../vault/vault.js';

/** How long a seller may take to consent. */
export const STATE_LIVES_S = 600;

/** What a consent that was begun is about. */
export interface BegunConsent {
  readonly provider: string;
  readonly companyId: string;
  readonly clientId: string;
  /** Beside the configured ones. */
  readonly scopes?: readonly string[];
  readonly redirectPath?: string;
  /** The sales channel from which the seller came; it goes back with the seller. */
  readonly applicationId?: string;
}

/** What the cookie is signed for, so that nothing else that we ever sign can stand in for it. 0.1.0 knows it, too. */
const AUDIENCE = 'token-broker install';
const ALGORITHM = 'HS256';

/**
 * The `state` of the authorization code flow (RFC 6749 10.12). It lies in a cookie of its own in the browser that began
 * the flow, signed (RFC 7515), and nowhere else, so that beginning one writes nothing; two tabs have two cookies.
 */
@Injectable()
export class ConsentStates {
  constructor(
    private readonly vault: Vault,
    private readonly clock: Clock,
  ) {}

  /** A new random state, and the `Set-Cookie` that binds it to this browser. */
  async begin(consent: BegunConsent, publicUrl: string): Promise<{ state: string; cookie: string }> {
    const state = randomBytes(32).toString('base64url');
    const now = Math.floor(this.clock.nowMs() / 1_000);
    const signed = await new SignJWT({ install: consent, state })
      .setProtectedHeader({ alg: ALGORITHM })
      .setAudience(AUDIENCE)
      .setExpirationTime(now + STATE_LIVES_S)
      .sign(this.vault.signingKey());
    return { state, cookie: cookieOf(state, publicUrl, signed, STATE_LIVES_S) };
  }

  /**
   * The consent that this state was begun with, in this browser, in time; undefined where any of that is not so.
   *
   * @param publicUrlOf where a provider is reached by browsers: it says which name the cookie must have, since only the
   *   `__Host-` prefix keeps a neighbouring host from planting one
   */
  async read(
    state: string,
    cookieHeader: string | undefined,
    publicUrlOf: (provider: string) => string | undefined,
  ): Promise<BegunConsent | undefined> {
    const cookies = parseCookie(cookieHeader ?? '');
    for (const isSecure of [true, false]) {
      const consent = await this.#verify(state, cookies[nameOf(state, isSecure)]);
      const publicUrl = consent && publicUrlOf(consent.provider);
      if (publicUrl !== undefined && isSecure === needsSecureCookie(publicUrl)) return consent;
    }
    return undefined;
  }

  async #verify(state: string, signed: string | undefined): Promise<BegunConsent | undefined> {
    if (signed === undefined) return undefined;
    try {
      const { payload } = await jwtVerify<{ install: BegunConsent; state: string }>(
        signed,
        this.vault.signingKey(),
        {
          algorithms: [ALGORITHM],
          audience: AUDIENCE,
          requiredClaims: ['exp'],
          currentDate: this.clock.now(),
        },
      );
      // The cookie's name is a hash of the state, so an equal name with another state means a forged pair.
      return payload.state === state ? payload.install : undefined;
    } catch {
      return undefined;
    }
  }

  /** The `Set-Cookie` that takes the cookie away. */
  end(state: string, publicUrl: string): string {
    return cookieOf(state, publicUrl, '', 0);
  }
}

/** What is remembered of a state that has come back. */
export function hashState(state: string): Buffer {
  return createHash('sha256').update(state).digest();
}

/** Only over plain http on loopback, where a browser would drop a secure cookie, is it anything less. */
function needsSecureCookie(publicUrl: string): boolean {
  const { protocol, hostname } = new URL(publicUrl);
  return !(protocol === 'http:' && isLoopbackHost(hostname));
}

function nameOf(state: string, isSecure: boolean): string {
  return `${isSecure ? '__Host-' : ''}tb_${hashState(state).toString('hex').slice(0, 16)}`;
}

function cookieOf(state: string, publicUrl: string, value: string, maxAge: number): string {
  const isSecure = needsSecureCookie(publicUrl);
  return stringifySetCookie({
    name: nameOf(state, isSecure),
    value,
    path: '/',
    httpOnly: true,
    maxAge,
    secure: isSecure,
    sameSite: isSecure ? 'none' : 'lax',
    partitioned: isSecure,
  });
}
