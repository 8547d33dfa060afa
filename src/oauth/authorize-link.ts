import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { jwtVerify, SignJWT } from 'jose';
import { Clock } from '../shared/clock.js';
import { Vault } from '../vault/vault.js';

/** What a link asks a seller for. It alone names the company. */
export interface LinkedConsent {
  readonly provider: string;
  readonly companyId: string;
  /** Beside the configured ones. */
  readonly scopes: readonly string[];
  readonly redirectPath?: string;
}

const LINK_LIVES_S = 600;
/** Characters of all scopes: they travel in the cookie of the consent, too, and browsers drop one of more than 4,096. */
export const LONGEST_SCOPES = 1_000;
/** What it is signed for, so that nothing else that we ever sign can stand in for it. */
const AUDIENCE = 'token-broker authorize-link';
const ALGORITHM = 'HS256';

/** Links by which an operator sends a seller to consent: signed (RFC 7515), good for ten minutes and for one use. */
@Injectable()
export class AuthorizeLinks {
  constructor(
    private readonly vault: Vault,
    private readonly clock: Clock,
  ) {}

  /** Undefined where it asks for more scopes than a consent can carry. */
  async create(
    consent: LinkedConsent,
    publicUrl: string,
  ): Promise<{ url: string; expiresAt: Date } | undefined> {
    if (consent.scopes.join(' ').length > LONGEST_SCOPES) return undefined;
    const expiresS = Math.floor(this.clock.nowMs() / 1_000) + LINK_LIVES_S;
    const link = await new SignJWT({ consent })
      .setProtectedHeader({ alg: ALGORITHM })
      .setAudience(AUDIENCE)
      .setJti(randomUUID())
      .setExpirationTime(expiresS)
      .sign(this.vault.signingKey());
    const url = `${publicUrl}/oauth/${consent.provider}/authorize?link=${link}`;
    return { url, expiresAt: new Date(expiresS * 1_000) };
  }

  /** What the link was made for, and its id, of which one use is allowed; undefined where it is forged or too old. */
  async read(link: string): Promise<{ consent: LinkedConsent; id: string } | undefined> {
    try {
      const { payload } = await jwtVerify<{ consent: LinkedConsent }>(link, this.vault.signingKey(), {
        algorithms: [ALGORITHM],
        audience: AUDIENCE,
        requiredClaims: ['exp', 'jti'],
        currentDate: this.clock.now(),
      });
      return { consent: payload.consent, id: payload.jti ?? '' };
    } catch {
      return undefined;
    }
  }
}
