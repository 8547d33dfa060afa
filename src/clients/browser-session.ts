import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { parseCookie, stringifySetCookie } from 'cookie';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { isLoopbackHost } from '../config/addresses.js';
import { Clock } from '../shared/clock.js';
import { Vault } from '../vault/vault.js';
import type { Site } from './same-origin.js';

/** A key by its hash, `id` null for ADMIN_KEY; or a workload, as its token named it. */
export type Proof =
  | { readonly key: { readonly id: string | null; readonly hash: string } }
  | { readonly workload: { readonly issuer: string; readonly subject: string } };

/** Who sits before a browser, as it is found out again with every request. Nothing of it lets anybody in elsewhere. */
export interface Session {
  /** The same for as long as it is prolonged. */
  readonly id: string;
  readonly clientId: string;
  readonly proof: Proof;
  /** The one host that it is good for, as the browser names it. */
  readonly host: string;
  /** The one address that it is good for; null over https. A cookie of plain http goes to every port of its machine. */
  readonly from: string | null;
  /** The end of it all, however much is done. */
  readonly until: Date;
}

/** A session without anything being done ends after half an hour; with it after a working day, or when its credential does. */
const IDLE_S = 1_800;
export const LONGEST_S = 28_800;

const PURPOSE = 'token-broker console session';

/**
 * Sessions of the console, each in a cookie of its browser and nowhere else until it is ended: encrypted (RFC 7516), since what is in it is
 * nobody's business, by a key that is derived for this alone, so that nothing else that the broker signs or seals can stand in for one.
 */
@Injectable()
export class BrowserSessions {
  constructor(
    private readonly vault: Vault,
    private readonly clock: Clock,
  ) {}

  /** The `Set-Cookie` of a session from now on, and when it ends if nothing is done. */
  async write(session: Session, { isHttps }: Site): Promise<{ cookie: string; endsAt: Date }> {
    const { id, clientId, proof, host, from, until } = session;
    const now = this.#seconds();
    const end = Math.min(now + IDLE_S, Math.floor(until.getTime() / 1_000));
    const sealed = await new EncryptJWT({ proof, host, from, until: until.toISOString() })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setAudience(PURPOSE)
      .setJti(id)
      .setSubject(clientId)
      .setExpirationTime(end)
      .encrypt(this.#key());
    return { cookie: cookieOf(sealed, isHttps, end - now), endsAt: new Date(end * 1_000) };
  }

  /** What the cookies of a request hold; undefined where that is no session, of another host or address, or over. */
  async read(
    cookies: string | undefined,
    { host, ip }: { readonly host: string; readonly ip: string },
  ): Promise<(Session & { endsAt: Date }) | undefined> {
    const all = parseCookie(cookies ?? '');
    // A cookie of the plain name could have been planted by a neighbouring host, or over http.
    const sealed = all[nameOf(true)] ?? (isLoopback(host) ? all[nameOf(false)] : undefined);
    if (sealed === undefined) return undefined;
    try {
      const { payload } = await jwtDecrypt<{
        proof: Proof;
        host: string;
        from: string | null;
        until: string;
      }>(sealed, this.#key(), {
        audience: PURPOSE,
        requiredClaims: ['jti', 'sub', 'exp'],
        currentDate: this.clock.now(),
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      const { from } = payload;
      if (payload.host !== host || (from !== null && from !== ip)) return undefined;
      return {
        id: payload.jti ?? '',
        clientId: payload.sub ?? '',
        proof: payload.proof,
        host,
        from,
        until: new Date(payload.until),
        endsAt: new Date((payload.exp ?? 0) * 1_000),
      };
    } catch {
      return undefined;
    }
  }

  /** The longest that a session from now on lasts; `bound` is the end of what it was opened with. */
  endOf(bound: Date | null): Date {
    const longest = new Date((this.#seconds() + LONGEST_S) * 1_000);
    return bound && bound < longest ? bound : longest;
  }

  #seconds(): number {
    return Math.floor(this.clock.nowMs() / 1_000);
  }

  #key(): KeyObject {
    return createSecretKey(createHmac('sha256', this.vault.signingKey()).update(PURPOSE).digest());
  }
}

/** Whether a request brings a cookie that could be a session's. */
export function hasSession(cookies: string | undefined): boolean {
  return cookies?.includes(nameOf(false)) ?? false;
}

/** The `Set-Cookie`s that take the session away, whichever it is. */
export function endedCookies(): string[] {
  return [cookieOf('', true, 0), cookieOf('', false, 0)];
}

/** Of a host with its port. */
export function isLoopback(host: string): boolean {
  const hostname = URL.parse(`http://${host}`)?.hostname;
  return hostname !== undefined && isLoopbackHost(hostname);
}

function nameOf(isHttps: boolean): string {
  return `${isHttps ? '__Host-' : ''}tb_console`;
}

function cookieOf(value: string, isHttps: boolean, maxAge: number): string {
  return stringifySetCookie({
    name: nameOf(isHttps),
    value,
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: isHttps,
    maxAge,
  });
}
