import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Database } from '../database/database.js';
import { ReplicaCaches, type Remembered, type ReplicaCache } from '../database/replica-cache.js';
import { Clock } from '../shared/clock.js';
import type { Subject } from '../shared/ids.js';
import type { Sealed } from '../shared/secret.js';
import {
  TOKEN_IN_HAND_SQL,
  type KeptTokenInHand,
  type TokenInHand,
  type TokenInHandRow,
} from './token-in-hand.js';

/** Connections have few sets of scopes, types and errors among them, each of which is kept once. */
const MOST_SHARED = 1_000;

/**
 * The tokens in hand, sealed: those that were asked for lately lie in memory, as long as this replica hears of every change
 * of them. No token rests there in plain text.
 */
@Injectable()
export class TokensInHand {
  readonly #cache: ReplicaCache<KeptTokenInHand>;
  readonly #scopes = new LRUCache<string, readonly string[]>({ max: MOST_SHARED });
  readonly #texts = new LRUCache<string, string>({ max: MOST_SHARED });

  constructor(
    @Inject(SETTINGS) settings: Settings,
    caches: ReplicaCaches,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {
    this.#cache = caches.of('connections', settings.cache.rows);
  }

  /** The token of whom `resource` names, as it is now; undefined where the database has to be asked. */
  current(resource: string): TokenInHand | undefined {
    const entry = this.#cache.current(resource);
    return entry && this.#asOfNow(entry);
  }

  /**
   * As `current`, else as it stands in the database, and while that is away, as it was last known to be: then `isCertain` is
   * false. Undefined where there is no such connection. Throws Problem `store_unavailable`.
   */
  async find(
    resource: string,
    subject: Subject,
  ): Promise<{ readonly token: TokenInHand; readonly isCertain: boolean } | undefined> {
    const found = await this.#cache.find(resource, () => this.#find(subject));
    return found && { token: this.#asOfNow(found.entry), isCertain: found.isCertain };
  }

  async #find({ provider, companyId, locationId }: Subject): Promise<KeptTokenInHand | undefined> {
    const [row] =
      locationId === null
        ? await this.database.run<TokenInHandRow>(TOKEN_IN_HAND_SQL.ofCompany, [provider, companyId])
        : await this.database.run<TokenInHandRow>(TOKEN_IN_HAND_SQL.ofLocation, [
            provider,
            companyId,
            locationId,
          ]);
    return row && this.#kept(row);
  }

  #kept(row: TokenInHandRow): KeptTokenInHand {
    const { scopesJson, sealedToken, ...rest } = row;
    return {
      ...rest,
      provider: this.#same(row.provider),
      status: this.#same(row.status),
      tokenType: this.#same(row.tokenType),
      credentialType: this.#same(row.credentialType),
      lastError: this.#same(row.lastError),
      scopes: this.#scopesOf(scopesJson),
      sealedLatin1: sealedToken && sealedToken.toString('latin1'),
    };
  }

  /** The one text of these letters that all rows share. */
  #same<Text extends string | null>(text: Text): Text {
    if (text === null) return text;
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return (known ?? text) as Text;
  }

  #scopesOf(json: string): readonly string[] {
    let scopes = this.#scopes.get(json);
    if (!scopes) this.#scopes.set(json, (scopes = JSON.parse(json) as string[]));
    return scopes;
  }

  /** The database's clock has gone on since the row was read. */
  #asOfNow({ row, readAt }: Remembered<KeptTokenInHand>): TokenInHand {
    const { nowMs, expiresMs, renewMs, sealedLatin1, ...rest } = row;
    return {
      ...rest,
      now: new Date(nowMs + this.clock.monotonic() - readAt),
      expiresAt: expiresMs === null ? null : new Date(expiresMs),
      renewAt: renewMs === null ? null : new Date(renewMs),
      sealedToken: sealedLatin1 === null ? null : (Buffer.from(sealedLatin1, 'latin1') as Sealed),
    };
  }
}
