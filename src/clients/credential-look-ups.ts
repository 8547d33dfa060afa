import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Database } from '../database/database.js';
import { Notifications } from '../database/notifications.js';
import { Clock } from '../shared/clock.js';
import type { KnownClient } from './client-directory.js';

/** For so long one that was nobody's is not looked up again, in milliseconds. */
const REFUSED_MS = 10_000;
/** Some 2 MB. */
export const MOST_REFUSED = 10_000;

type Found = Promise<KnownClient | null>;

/**
 * Credentials that are being looked up, and those that were nobody's a moment ago, by their hashes: neither costs another
 * look-up, however often it is sent. Whatever changes about clients may give them an owner, so that all are forgotten then,
 * and none is remembered while changes cannot be heard of. Where there are too many, those go that were not sent again for the
 * longest: made-up ones, and not the one that a service goes on sending.
 */
@Injectable()
export class CredentialLookUps {
  readonly #refused: LRUCache<string, true>;
  readonly #underWay = new Map<string, Found>();

  constructor(
    clock: Clock,
    database: Database,
    private readonly notifications: Notifications,
  ) {
    this.#refused = new LRUCache({
      max: MOST_REFUSED,
      ttl: REFUSED_MS,
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    });
    database.onTold('clients', () => this.#forget());
    notifications.onChange('clients', () => this.#forget());
    // What was said while it was away was not heard.
    notifications.onReconnect(() => this.#forget());
  }

  /** Was it nobody's a moment ago, and has no client changed since? */
  isRefused(hash: string): boolean {
    return this.#refused.get(hash) === true && this.notifications.isLive();
  }

  /** What somebody else who sent it just now will be told; undefined where it is not being looked up. */
  underWay(hash: string): Found | undefined {
    return this.#underWay.get(hash);
  }

  /** Looks it up with `find`, and remembers it where it is nobody's. */
  async lookUp(hash: string, find: () => Found): Found {
    const found = find();
    this.#underWay.set(hash, found);
    try {
      const client = await found;
      // Unless a client has changed meanwhile: then others may not go by this answer.
      if (!client && this.#underWay.get(hash) === found) this.#refused.set(hash, true);
      return client;
    } finally {
      if (this.#underWay.get(hash) === found) this.#underWay.delete(hash);
    }
  }

  /** A client was made or changed: any of them may be its credential. */
  #forget(): void {
    this.#refused.clear();
    this.#underWay.clear();
  }
}
