import { Logger } from '@nestjs/common';
import { errors, type CryptoKey, type JWTHeaderParameters } from 'jose';
import type { WorkloadIssuer } from '../config/workload-issuers.js';
import type { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { KeysNotHad, type IssuerDocuments, type KeySet } from './issuer-documents.js';

/** A key that the issuer has withdrawn is believed no longer than this. */
const FRESH_MS = 300_000;
/** While the issuer cannot be asked, its keys go on counting for so long. */
const STALE_MS = 3_600_000;
/** An unknown key asks the issuer again no sooner than this after the last time: anyone can make one up. */
const UNKNOWN_KEY_PAUSE_MS = 30_000;
/** After a failure nobody asks for so long, whatever comes. */
const FAILURE_PAUSE_MS = 10_000;

/**
 * The keys of one issuer. They are fetched when a token first needs them, again once they are no longer fresh, and when a
 * token names one that is not among them; and that no more often than the pauses above allow, whoever sends what.
 *
 * Jose has a remote key set of its own, which remembers no failure and forgets its keys while the issuer is away.
 */
export class IssuerKeys {
  readonly #logger = new Logger('Workloads');
  #known: { readonly keys: KeySet; readonly at: number } | undefined;
  #failed: { readonly why: string; readonly at: number } | undefined;
  #fetching: Promise<void> | undefined;

  constructor(
    private readonly issuer: WorkloadIssuer,
    private readonly documents: IssuerDocuments,
    private readonly clock: Clock,
  ) {}

  /**
   * The key that a token's header means. Throws jose's JWKSNoMatchingKey and its kin where the issuer has no such key, and
   * a Problem (503) where nobody can tell now.
   */
  async find(header: JWTHeaderParameters): Promise<CryptoKey> {
    if (this.#age() >= FRESH_MS) await this.#fetch();
    try {
      return await this.#keys()(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (this.#age() >= UNKNOWN_KEY_PAUSE_MS) await this.#fetch();
      // It may be among those that the issuer cannot be asked for.
      if (this.#failed) throw this.#unavailable();
      return this.#keys()(header);
    }
  }

  #age(): number {
    return this.#known ? this.clock.monotonic() - this.#known.at : Infinity;
  }

  #keys(): KeySet {
    if (!this.#known || this.#age() >= STALE_MS) throw this.#unavailable();
    return this.#known.keys;
  }

  /** Many at once wait for one answer. */
  async #fetch(): Promise<void> {
    if (this.#pauseLeft() > 0) return;
    await (this.#fetching ??= this.#ask().finally(() => (this.#fetching = undefined)));
  }

  async #ask(): Promise<void> {
    try {
      const keys = await this.documents.keySet(this.issuer);
      this.#known = { keys, at: this.clock.monotonic() };
      if (this.#failed) this.#logger.log(`the keys of ${this.issuer.issuer} can be had again`);
      this.#failed = undefined;
    } catch (error) {
      if (!(error instanceof KeysNotHad)) throw error;
      const why = error.message;
      if (this.#failed?.why !== why)
        this.#logger.warn(`the keys of ${this.issuer.issuer} cannot be had: ${why}`);
      this.#failed = { why, at: this.clock.monotonic() };
    }
  }

  #pauseLeft(): number {
    return this.#failed ? this.#failed.at + FAILURE_PAUSE_MS - this.clock.monotonic() : 0;
  }

  #unavailable(): Problem {
    return new Problem('provider_unavailable', 'The issuer of this token cannot be asked for its keys now.', {
      retry_after: Math.max(1, Math.ceil(this.#pauseLeft() / 1_000)),
    });
  }
}
