import { Inject, Injectable, Logger } from '@nestjs/common';
import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { IssuerDocuments } from './issuer-documents.js';
import { IssuerKeys } from './issuer-keys.js';
import { hashOf } from './service-key.js';

/** Who a token proved its bearer to be. */
export interface Workload {
  readonly issuer: string;
  readonly subject: string;
  readonly expiresAt: Date;
}

const AUDIENCE = 'token-broker';

/** Signatures whose keys are no secret of the broker's; `none` and the HMACs are not among them. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];

/** No header of a request holds more. */
const LONGEST_TOKEN = 16 * 1024;
/** What a token may still live at most, in seconds. */
const LONGEST_LIFE_S = 86_400;
/** How far the issuer's clock may be ahead, in seconds. */
const CLOCK_TOLERANCE_S = 5;
/** A token is believed without being verified again for so long, so that a key that is withdrawn ends it. */
const BELIEVED_MS = 60_000;
const MOST_BELIEVED = 10_000;

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** No control characters, which a database or a log would stumble over. */
const SUBJECT = /^\P{C}{1,512}$/u;

/**
 * Believes the tokens with which a platform vouches for its workloads, as Kubernetes' projected service-account tokens: RFC
 * 7519, signed by an issuer of `WORKLOAD_ISSUERS`. What stands in a token decides nothing about where keys come from:
 * its `iss` picks one of the configured issuers or none, and `jku`, `x5u`, `jwk` and `x5c` are not looked at.
 */
@Injectable()
export class WorkloadIdentity {
  readonly #logger = new Logger('Workloads');
  readonly #issuers: ReadonlyMap<string, IssuerKeys>;
  /** By the SHA-256 of the token. */
  readonly #believed = new LRUCache<string, { readonly workload: Workload; readonly at: number }>({
    max: MOST_BELIEVED,
  });

  constructor(
    @Inject(SETTINGS) { workloadIssuers }: Settings,
    documents: IssuerDocuments,
    private readonly clock: Clock,
  ) {
    this.#issuers = new Map(
      workloadIssuers.map((issuer) => [issuer.issuer, new IssuerKeys(issuer, documents, clock)]),
    );
  }

  /** Whether a credential has the form of a signed JWT, and so can be nothing but one. */
  looksLikeJwt(credential: string): boolean {
    return JWT.test(credential);
  }

  /** Whom it was once believed to vouch for, so that whoever sends it is no stranger; it may be no good any more. */
  remembered(hash: string): Workload | undefined {
    return this.#believed.get(hash)?.workload;
  }

  /** As `verify`, without any cryptography: undefined where that is needed. */
  believed(hash: string): Workload | undefined {
    const known = this.#believed.get(hash);
    const isFresh = known && this.clock.monotonic() - known.at < BELIEVED_MS;
    return isFresh && known.workload.expiresAt > this.clock.now() ? known.workload : undefined;
  }

  /**
   * Whom the token vouches for; undefined where it is not to be believed, whatever the reason. Throws a Problem (503) while
   * its issuer's keys cannot be had, since nobody can tell then.
   */
  async verify(jwt: string, hash = hashOf(jwt)): Promise<Workload | undefined> {
    if (jwt.length > LONGEST_TOKEN) return undefined;
    const believed = this.believed(hash);
    if (believed) return believed;
    const workload = await this.#judge(jwt);
    if (workload) this.#believed.set(hash, { workload, at: this.clock.monotonic() });
    // One that is no good any more is a stranger's, and has to wait like one.
    else this.#believed.delete(hash);
    return workload;
  }

  async #judge(jwt: string): Promise<Workload | undefined> {
    try {
      const issuer = decodeJwt(jwt).iss ?? '';
      const keys = this.#issuers.get(issuer);
      if (!keys) return this.#refuse('its issuer is none of those that are configured');
      const { payload } = await jwtVerify(jwt, (header) => keys.find(header), {
        algorithms: ALGORITHMS,
        issuer,
        audience: AUDIENCE,
        currentDate: this.clock.now(),
        clockTolerance: CLOCK_TOLERANCE_S,
      });
      const { sub = '', exp = NaN } = payload;
      const fault = faultOf(payload, this.clock.nowMs() / 1_000);
      return fault ? this.#refuse(fault) : { issuer, subject: sub, expiresAt: new Date(exp * 1_000) };
    } catch (error) {
      if (error instanceof Problem) throw error;
      return this.#refuse(explain(error));
    }
  }

  /** Its bearer is told nothing; an operator who has to find out why sees it at LOG_LEVEL debug. */
  #refuse(why: string): undefined {
    this.#logger.debug(`a workload's token is not believed: ${why}`);
  }
}

/**
 * Jose throws for whatever is wrong with a token, and a TypeError for a key that is too short. Its messages may quote the
 * token, its codes do not.
 */
function explain(error: unknown): string {
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
    return `${error.code} (${error.claim})`;
  return error instanceof errors.JOSEError ? error.code : 'the key that it means is of no use';
}

/** What jose leaves to us: neither `exp` nor `sub` may be missing, and `exp` is on time. `now` in seconds. */
function faultOf({ sub, exp, iat = 0 }: JWTPayload, now: number): string | undefined {
  if (exp === undefined) return 'it has no exp';
  if (exp <= now) return 'it has expired';
  if (exp > now + LONGEST_LIFE_S + CLOCK_TOLERANCE_S) return 'its exp is more than 24 h away';
  if (iat > now + CLOCK_TOLERANCE_S) return 'its iat lies in the future';
  if (typeof sub !== 'string' || !SUBJECT.test(sub)) return 'its sub is missing, or no name';
  return undefined;
}
