import { createSecretKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { KeyEncryptionKey } from '../config/encryption-keys.js';
import { ConfigurationError } from '../config/mistakes.js';
import type { Settings } from '../config/settings.js';
import { DataKeyStore, type KeyPurpose, type WrappedDataKey } from './data-key.store.js';
import { decrypt, encrypt } from './envelope.js';

const PURPOSES: readonly KeyPurpose[] = ['seal', 'fingerprint', 'sign'];
const KEY_BYTES = 32;

/** A data key, unwrapped. */
export interface DataKey {
  readonly id: string;
  readonly key: KeyObject;
}

/**
 * The data keys in memory, unwrapped once at the start by the key-encryption keys of `ENCRYPTION_KEYS`. A data key that
 * none of them unwraps stops the start: better no broker than one that cannot read what it holds.
 */
@Injectable()
export class KeyRing implements OnModuleInit {
  /** By the bytes of their ids: what is opened on every read names its key so. */
  readonly #keys = new Map<string, DataKey>();
  readonly #newest = new Map<KeyPurpose, DataKey>();

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly store: DataKeyStore,
  ) {}

  async onModuleInit(): Promise<void> {
    const wrapped = await this.store.loadOrCreate(PURPOSES, (purpose) => this.#create(purpose));
    for (const entry of wrapped) {
      const dataKey = { id: entry.id, key: createSecretKey(this.#unwrap(entry)) };
      this.#keys.set(bytesOf(entry.id).toString('latin1'), dataKey);
      if (!this.#newest.has(entry.purpose)) this.#newest.set(entry.purpose, dataKey);
    }
  }

  /** The key that new work of this purpose uses. */
  newest(purpose: KeyPurpose): DataKey {
    const key = this.#newest.get(purpose);
    if (!key) throw new Error('the key ring was asked before it was loaded');
    return key;
  }

  /** The key with this id, its 16 bytes in latin1; undefined where this process does not know it. */
  byBytes(id: string): DataKey | undefined {
    return this.#keys.get(id);
  }

  /** True once the keys are there. */
  get isLoaded(): boolean {
    return this.#newest.size === PURPOSES.length;
  }

  #create(purpose: KeyPurpose): WrappedDataKey {
    const id = randomUUID();
    const [kek] = this.settings.encryptionKeys.current;
    return {
      id,
      purpose,
      kekId: kek.id,
      wrapped: encrypt(kek.key, randomBytes(KEY_BYTES), bindingOf(id, purpose)),
    };
  }

  #unwrap({ id, purpose, kekId, wrapped }: WrappedDataKey): Buffer {
    const keks: readonly KeyEncryptionKey[] = this.settings.encryptionKeys.current;
    const kek = keks.find((candidate) => candidate.id === kekId);
    if (!kek) {
      throw new ConfigurationError([
        `ENCRYPTION_KEYS has no key "${kekId}", which this database was sealed with (it has: ${keks.map((it) => it.id).join(', ')}); add it`,
      ]);
    }
    const plain = decrypt(kek.key, wrapped, bindingOf(id, purpose));
    if (plain?.length === KEY_BYTES) return plain;
    throw new ConfigurationError([
      `ENCRYPTION_KEYS: key "${kekId}" is not the one that this database was sealed with; give back the former bytes under that id`,
    ]);
  }
}

/** The 16 bytes of a UUID. */
export function bytesOf(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function bindingOf(id: string, purpose: KeyPurpose): Buffer {
  return Buffer.from(JSON.stringify(['token-broker data key', id, purpose]));
}
