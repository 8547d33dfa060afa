import { createHash, randomBytes } from 'node:crypto';
import { fastifyCookie, Signer } from '@fastify/cookie';
import { Injectable } from '@nestjs/common';
import { isLoopbackHost } from '../config/addresses.js';
import { Clock } from '../shared/clock.js';
import { Vault } from '../vault/vault.js';

/** How long a seller may take to consent. */
export const STATE_LIVES_S = 600;

/** What an install that was begun is about. */
export interface Install {
  readonly provider: string;
  readonly companyId: string;
  readonly clientId: string;
  readonly redirectPath?: string;
}

interface StoredInstall extends Install {
  readonly state: string;
  /** Epoch milliseconds at which it was begun. */
  readonly at: number;
}

/**
 * The `state` of the authorization code flow (RFC 6749 10.12). It lies in a cookie of its own in the browser that began
 * the flow, signed, and nowhere else, so that beginning one writes nothing; two tabs have two cookies.
 */
@Injectable()
export class InstallStates {
  #signer: Signer | undefined;

  constructor(
    private readonly vault: Vault,
    private readonly clock: Clock,
  ) {}

  /** A new random state, and the `Set-Cookie` that binds it to this browser. */
  begin(install: Install, publicUrl: string): { state: string; cookie: string } {
    const state = randomBytes(32).toString('base64url');
    const stored: StoredInstall = { ...install, state, at: this.clock.now().getTime() };
    const value = this.#sign(Buffer.from(JSON.stringify(stored)).toString('base64url'));
    return { state, cookie: cookieOf(state, publicUrl, value, STATE_LIVES_S) };
  }

  /** The install that this state was begun with, in this browser, in time; undefined where any of that is not so. */
  read(state: string, cookieHeader: string | undefined): Install | undefined {
    const cookies = fastifyCookie.parse(cookieHeader ?? '');
    const signed = cookies[nameOf(state, true)] ?? cookies[nameOf(state, false)];
    if (signed === undefined) return undefined;
    const { valid, value } = this.#unsign(signed);
    if (!valid || value === null) return undefined;
    const stored = JSON.parse(Buffer.from(value, 'base64url').toString()) as StoredInstall;
    const ageMs = this.clock.now().getTime() - stored.at;
    // The cookie's name is a hash of the state, so an equal name with another state means a forged pair.
    if (stored.state !== state || ageMs < 0 || ageMs > STATE_LIVES_S * 1_000) return undefined;
    return stored;
  }

  /** The `Set-Cookie` that takes the cookie away. */
  end(state: string, publicUrl: string): string {
    return cookieOf(state, publicUrl, '', 0);
  }

  #sign(value: string): string {
    return this.#signerInUse().sign(value);
  }

  #unsign(value: string): { valid: boolean; value: string | null } {
    return this.#signerInUse().unsign(value);
  }

  #signerInUse(): Signer {
    this.#signer ??= new Signer(this.vault.signingKey().reveal(), 'sha256');
    return this.#signer;
  }
}

/** What is remembered of a state that has come back. */
export function hashState(state: string): Buffer {
  return createHash('sha256').update(state).digest();
}

function nameOf(state: string, isSecure: boolean): string {
  return `${isSecure ? '__Host-' : ''}tb_${hashState(state).toString('hex').slice(0, 16)}`;
}

/** Only over plain http on loopback, where a browser would drop a secure cookie, is it anything less. */
function cookieOf(state: string, publicUrl: string, value: string, maxAge: number): string {
  const { protocol, hostname } = new URL(publicUrl);
  const isSecure = !(protocol === 'http:' && isLoopbackHost(hostname));
  return fastifyCookie.serialize(nameOf(state, isSecure), value, {
    path: '/',
    httpOnly: true,
    maxAge,
    secure: isSecure,
    sameSite: isSecure ? 'none' : 'lax',
    partitioned: isSecure,
  });
}
