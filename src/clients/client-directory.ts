import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { ReplicaCaches, type ReplicaCache } from '../database/replica-cache.js';
import { Clock } from '../shared/clock.js';
import { Permissions } from '../shared/permission.js';
import type { Workload } from '../config/client-shape.js';
import { ClientStore, type FoundClient } from './client.store.js';
import { LastUses } from './last-uses.js';
import { isHash } from './service-key.js';

/** Clients that a replica remembers at the most: more than anybody has, and about 10 MB. */
const MOST = 10_000;

/** A client as its requests need it. */
export interface KnownClient {
  readonly id: string;
  readonly keyId: string | null;
  readonly permissions: Permissions;
}

interface Entry extends KnownClient {
  /** Of the key; null for a workload. */
  readonly hash: Buffer | null;
  /** Of the key or the client, whichever ends first. Monotonic milliseconds: the database alone says what the time is. */
  readonly endsAt: number;
}

/**
 * Who calls, as far as this replica knows: looked up once, and again when somebody changes the client anywhere. While the
 * database is away, who called before is known for a while.
 */
@Injectable()
export class ClientDirectory {
  readonly #clients: ReplicaCache<Entry>;
  /** Who was found when last looked for, also where it is to be looked up again. */
  readonly #familiar = new LRUCache<string, true>({ max: MOST });

  constructor(
    private readonly store: ClientStore,
    private readonly uses: LastUses,
    private readonly clock: Clock,
    caches: ReplicaCaches,
  ) {
    this.#clients = caches.of('clients', MOST);
  }

  /** Is it no stranger who comes with this key, or as this workload? */
  isFamiliar(by: string | Workload): boolean {
    return this.#familiar.has(typeof by === 'string' ? by : nameOf(by));
  }

  /** As `findKey`, without asking the database: undefined where this replica does not know such a key. */
  knownKey(keyId: string, hash: string): KnownClient | null | undefined {
    const entry = this.#clients.current(keyId)?.row;
    return entry && this.#prove(entry, hash);
  }

  /** As `knownKey`, of a client that was found with a key of its own: undefined also where it was looked up again since. */
  still(client: KnownClient): KnownClient | null | undefined {
    const entry = client.keyId === null ? undefined : this.#clients.current(client.keyId)?.row;
    return entry === client ? this.#live(entry) : undefined;
  }

  /** Whose key this is; null where there is none, it has ended, or it is another. Throws Problem `store_unavailable`. */
  async findKey(keyId: string, hash: string): Promise<KnownClient | null> {
    const entry = await this.#find(keyId, async () => {
      const askedAt = this.clock.monotonic();
      const row = await this.store.findByKey(keyId);
      return row && { ...entryOf(row, askedAt), keyId, hash: row.hash };
    });
    return entry ? this.#prove(entry, hash) : null;
  }

  /** As `findWorkload`, without asking the database: undefined where this replica does not know it. */
  knownWorkload(workload: Workload): KnownClient | null | undefined {
    const entry = this.#clients.current(nameOf(workload))?.row;
    return entry && this.#live(entry);
  }

  /** The client for which this workload speaks; null where there is none. Throws Problem `store_unavailable`. */
  async findWorkload(workload: Workload): Promise<KnownClient | null> {
    const entry = await this.#find(nameOf(workload), async () => {
      const askedAt = this.clock.monotonic();
      const row = await this.store.findByWorkload(workload);
      return row && entryOf(row, askedAt);
    });
    return entry ? this.#live(entry) : null;
  }

  async #find(name: string, find: () => Promise<Entry | undefined>): Promise<Entry | undefined> {
    const client = await this.#clients.find(name, async () => {
      const entry = await find();
      if (entry) this.#familiar.set(name, true);
      else this.#familiar.delete(name);
      return entry;
    });
    return client?.entry.row;
  }

  #prove(entry: Entry, hash: string): KnownClient | null {
    return entry.hash && isHash(hash, entry.hash) ? this.#live(entry) : null;
  }

  #live(entry: Entry): KnownClient | null {
    const now = this.clock.monotonic();
    if (entry.endsAt <= now) return null;
    if (entry.keyId === null) this.uses.workloadUsed(entry.id, now);
    else this.uses.keyUsed(entry.keyId, now);
    return entry;
  }
}

/** No key's id looks like this. */
function nameOf({ issuer, subject }: Workload): string {
  return `workload ${issuer} ${subject}`;
}

function entryOf({ id, permissions, leftS }: FoundClient, askedAt: number): Entry {
  const endsAt = leftS === null ? Infinity : askedAt + leftS * 1_000;
  return { id, keyId: null, permissions: new Permissions(permissions), hash: null, endsAt };
}
