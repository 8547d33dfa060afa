import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { ReplicaCaches, type ReplicaCache } from '../database/replica-cache.js';
import { Clock } from '../shared/clock.js';
import { flat } from '../shared/flat-text.js';
import type { Subject } from '../shared/ids.js';
import { SameTexts } from '../shared/same-texts.js';
import { KeptAnswers } from './kept-answers.js';
import { KeptTokenInHand, type TokenInHandRow } from './token-in-hand.js';
import { TokenLookUps } from './token-look-ups.js';

/** Connections have few sets of scopes among them, each of which is kept once. */
const MOST_SCOPES = 1_000;

/**
 * The tokens in hand, sealed: those that were asked for lately lie in memory, as long as this replica hears of every change
 * of them. No token rests there in plain text.
 */
@Injectable()
export class TokensInHand {
  readonly #cache: ReplicaCache<KeptTokenInHand>;
  readonly #scopes = new LRUCache<string, readonly string[]>({ max: MOST_SCOPES });
  readonly #texts = new SameTexts();

  constructor(
    @Inject(SETTINGS) settings: Settings,
    caches: ReplicaCaches,
    private readonly lookUps: TokenLookUps,
    private readonly clock: Clock,
    kept: KeptAnswers,
  ) {
    this.#cache = caches.of('connections', settings.cache.rows, (row) => kept.drop(row));
  }

  /** The token of whom `resource` names, as it is now; undefined where the database has to be asked. */
  current(resource: string): KeptTokenInHand | undefined {
    return this.#cache.current(resource)?.row;
  }

  /**
   * As `current`, else as it stands in the database, and while that is away, as it was last known to be: then `isCertain` is
   * false. Undefined where there is no such connection. Throws Problem `store_unavailable`.
   */
  async find(
    resource: string,
    subject: Subject,
  ): Promise<{ readonly token: KeptTokenInHand; readonly isCertain: boolean } | undefined> {
    const name = flat(resource);
    const found = await this.#cache.find(name, () => this.#find(name, subject));
    return found && { token: found.entry.row, isCertain: found.isCertain };
  }

  async #find(resource: string, subject: Subject): Promise<KeptTokenInHand | undefined> {
    const askedAt = this.clock.monotonic();
    const row = await this.lookUps.find(subject);
    return row && this.#kept(row, resource, askedAt);
  }

  #kept(row: TokenInHandRow, resource: string, askedAt: number): KeptTokenInHand {
    const shared = {
      provider: this.#same(row.provider),
      status: this.#same(row.status),
      tokenType: this.#same(row.tokenType),
      credentialType: this.#same(row.credentialType),
      lastError: this.#same(row.lastError),
      scopes: this.#scopesOf(row.scopesJson),
    };
    return new KeptTokenInHand(row, shared, resource, askedAt);
  }

  /** The one text of these letters that all rows share. */
  #same<Text extends string | null>(text: Text): Text {
    return text === null ? text : (this.#texts.of(text) as Text);
  }

  #scopesOf(json: string): readonly string[] {
    let scopes = this.#scopes.get(json);
    if (!scopes) this.#scopes.set(json, (scopes = JSON.parse(json) as string[]));
    return scopes;
  }
}
