import { createSecretKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import { ConfigurationError } from '../config/mistakes.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { DataKeyStore, type KeyPurpose, type StoredDataKey, type WrappedDataKey } from './data-key.store.js';
import { KeyServiceError } from './key-wrapping.js';
import { KEY_BYTES, WrappingKeys } from './wrapping-keys.js';

const PURPOSES: readonly KeyPurpose[] = ['seal', 'fingerprint', 'sign'];
const RETRY_MS = 1_000;
/** A key that was destroyed opens for this long what is remembered from before. Milliseconds. */
const FORGET_AFTER_MS = 900_000;

/** A data key, unwrapped. */
export interface DataKey {
  readonly id: string;
  readonly purpose: KeyPurpose;
  readonly key: KeyObject;
}

/** A data key that is in the database and cannot be unwrapped here, and why. */
export interface LockedKey {
  readonly id: string;
  readonly why: string;
}

/**
 * The data keys in memory, each unwrapped once by a key-encryption key of `ENCRYPTION_KEYS`: whoever keeps that may be
 * away from then on. A data key that none of them unwraps stops the start: better no broker than one that cannot read what
 * it holds. One that comes later, and is not unwrapped, is named by the readiness.
 */
@Injectable()
export class KeyRing implements OnModuleInit {
  readonly #logger = new Logger('Keys');
  /** By the bytes of their ids: what is opened on every read names its key so. */
  readonly #keys = new Map<string, DataKey>();
  readonly #newest = new Map<KeyPurpose, DataKey>();
  readonly #keks: WrappingKeys;
  /** Since when keys in memory are gone from the database, in monotonic milliseconds. */
  readonly #goneSince = new Map<string, number>();
  #locked: readonly LockedKey[] = [];
  #wrappedElsewhere: readonly string[] = [];
  #hasOlder = false;
  #ageS = 0;
  #look: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;

  constructor(
    @Inject(SETTINGS) settings: Pick<Settings, 'encryptionKeys' | 'keyServices'>,
    private readonly store: DataKeyStore,
    private readonly clock: Clock = new Clock(),
  ) {
    this.#keks = new WrappingKeys(settings, this.#logger);
  }

  async onModuleInit(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.load();
      } catch (error) {
        if (!(error instanceof KeyServiceError)) throw error;
        if (!error.isAway) throw new ConfigurationError([`ENCRYPTION_KEYS: ${error.message}`]);
        if (attempt % 10 === 0) this.#logger.warn(`waiting: ${error.message}`);
        await sleep(RETRY_MS);
      }
    }
  }

  /** All keys, once; makes those that a new database lacks. Throws ConfigurationError or KeyServiceError. */
  async load(): Promise<void> {
    this.#keks.begin();
    let stored = await this.store.list();
    const lacking = PURPOSES.filter((purpose) => !stored.some((key) => key.purpose === purpose));
    if (lacking.length > 0) {
      await this.store.addFirst(await Promise.all(lacking.map((purpose) => this.make(purpose))));
      stored = await this.store.list();
    }
    for (const key of stored) await this.#unlock(key);
    this.#arrange(stored, []);
  }

  /** Looks what keys there are now; begun after it was asked for. Throws Problem `store_unavailable`. */
  async refresh(): Promise<void> {
    if (!this.#look) return this.#begin();
    const after = (): Promise<void> => {
      this.#nextLook = undefined;
      return this.#begin();
    };
    return (this.#nextLook ??= this.#look.then(after, after));
  }

  /** The key that new work of this purpose uses. */
  newest(purpose: KeyPurpose): DataKey {
    const key = this.#newest.get(purpose);
    if (key) return key;
    throw new Problem(
      'not_ready',
      'This replica can seal nothing: every data key there is is closed to it.',
      {
        retry_after: 1,
      },
    );
  }

  /** The key with this id, its 16 bytes in latin1; undefined where this process does not know it. */
  byBytes(id: string): DataKey | undefined {
    return this.#keys.get(id);
  }

  byId(id: string): DataKey | undefined {
    return this.#keys.get(latin1Of(id));
  }

  /** The keys that seal, or have sealed, rows, as far as they are open here. */
  get sealing(): DataKey[] {
    return [...this.#keys.values()].filter(({ purpose }) => purpose === 'seal');
  }

  /** True once the keys are there. */
  get isLoaded(): boolean {
    return this.#newest.size === PURPOSES.length;
  }

  /** Keys of the database that are closed to this process: what they have sealed cannot be read here. */
  get locked(): readonly LockedKey[] {
    return this.#locked;
  }

  /** Key-encryption keys that wrap a data key and are not configured here: this process would not start again. */
  get wrappedElsewhere(): readonly string[] {
    return this.#wrappedElsewhere;
  }

  /** Ids under which `ENCRYPTION_KEYS` has another key than what wraps data keys: this process would not start again. */
  get misnamed(): readonly string[] {
    return this.#keks.misnamed;
  }

  /** Whether anything may be sealed by another key than the newest. */
  get hasOlder(): boolean {
    return this.#hasOlder;
  }

  /** Seconds since the key was made that seals now; as of the last look. */
  get ageS(): number {
    return this.#ageS;
  }

  whyLocked(id: string): string {
    return this.#locked.find((key) => key.id === id)?.why ?? 'it has just come; try again';
  }

  /** The key-encryption keys of `ENCRYPTION_KEYS`, in their order. */
  get kekIds(): string[] {
    return this.#keks.ids;
  }

  /** The first of `ENCRYPTION_KEYS`, which wraps what is new. */
  get firstKekId(): string {
    return this.#keks.first.id;
  }

  /** A new data key, wrapped and in nobody's use yet. Throws KeyServiceError. */
  async make(purpose: KeyPurpose): Promise<WrappedDataKey> {
    return this.#keks.wrap(randomUUID(), purpose, randomBytes(KEY_BYTES));
  }

  /** The same data key under the first key-encryption key. Throws KeyServiceError. */
  async rewrapped({ id, purpose }: WrappedDataKey): Promise<WrappedDataKey | undefined> {
    const known = this.byId(id);
    return known && this.#keks.wrap(id, purpose, known.key.export());
  }

  #begin(): Promise<void> {
    const look = this.#refresh().finally(() => {
      if (this.#look === look) this.#look = undefined;
    });
    return (this.#look = look);
  }

  async #refresh(): Promise<void> {
    const stored = await this.store.list();
    const locked: LockedKey[] = [];
    await this.#keks.takeOver(stored);
    for (const key of stored) {
      try {
        await this.#unlock(key);
      } catch (error) {
        if (!(error instanceof ConfigurationError || error instanceof KeyServiceError)) throw error;
        locked.push({
          id: key.id,
          why: error instanceof ConfigurationError ? (error.lines[0] ?? '') : error.message,
        });
      }
    }
    this.#arrange(stored, locked);
  }

  async #unlock(stored: StoredDataKey): Promise<void> {
    const id = latin1Of(stored.id);
    if (this.#keys.has(id)) return;
    const key = createSecretKey(await this.#keks.unwrap(stored));
    this.#keys.set(id, { id: stored.id, purpose: stored.purpose, key });
  }

  #arrange(stored: readonly StoredDataKey[], locked: readonly LockedKey[]): void {
    for (const purpose of PURPOSES) {
      const newest = stored.find((key) => key.purpose === purpose && this.byId(key.id));
      const key = newest && this.byId(newest.id);
      if (key) this.#newest.set(purpose, key);
      // None is left that opens here: what was sealed by one that is gone could be opened nowhere.
      else this.#newest.delete(purpose);
    }
    for (const { id, why } of locked)
      if (!this.#locked.some((it) => it.id === id)) this.#logger.error(`data key ${id} is closed: ${why}`);
    this.#locked = locked;
    const here = new Set(this.kekIds);
    this.#wrappedElsewhere = [...new Set(stored.map(({ kekId }) => kekId))].filter((id) => !here.has(id));
    this.#forgetGone(new Set(stored.map(({ id }) => latin1Of(id))));
    const [newest] = stored.filter(({ purpose }) => purpose === 'seal');
    if (newest) this.#ageS = (newest.now.getTime() - newest.createdAt.getTime()) / 1_000;
    this.#hasOlder =
      this.#goneSince.size > 0 || stored.filter(({ purpose }) => purpose === 'seal').length > 1;
  }

  #forgetGone(there: ReadonlySet<string>): void {
    const now = this.clock.monotonic();
    for (const id of this.#keys.keys()) {
      const since = this.#goneSince.get(id) ?? now;
      if (there.has(id)) this.#goneSince.delete(id);
      else if (now - since >= FORGET_AFTER_MS) {
        this.#keys.delete(id);
        this.#goneSince.delete(id);
      } else this.#goneSince.set(id, since);
    }
  }
}

/** The 16 bytes of a UUID. */
export function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function latin1Of(uuid: string): string {
  return bytesOf(uuid).toString('latin1');
}
