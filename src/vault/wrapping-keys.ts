import type { Logger } from '@nestjs/common';
import { isSameKey, type KeyEncryptionKey, type KeyEncryptionKeys } from '../config/encryption-keys.js';
import { ConfigurationError } from '../config/mistakes.js';
import type { Settings } from '../config/settings.js';
import type { KeyPurpose, WrappedDataKey } from './data-key.store.js';
import { KeyServiceError, type KeyWrapping } from './key-wrapping.js';
import { wrappingOf } from './wrapping-of.js';

/** Of a data key. */
export const KEY_BYTES = 32;

/** The key-encryption keys that are in force: those of `ENCRYPTION_KEYS`, but for one that took the id of another. */
export class WrappingKeys {
  #inForce: KeyEncryptionKeys;
  #misnamed: readonly string[] = [];
  readonly #wrappings = new Map<string, { readonly key: KeyEncryptionKey; readonly wrapping: KeyWrapping }>();

  constructor(
    private readonly settings: Pick<Settings, 'encryptionKeys' | 'keyServices'>,
    private readonly logger: Logger,
  ) {
    this.#inForce = settings.encryptionKeys.current;
  }

  /** In their order. */
  get ids(): string[] {
    return this.#inForce.map(({ id }) => id);
  }

  /** It wraps what is new. */
  get first(): KeyEncryptionKey {
    return this.#inForce[0];
  }

  /** Ids under which `ENCRYPTION_KEYS` has another key than what has wrapped data keys. */
  get misnamed(): readonly string[] {
    return this.#misnamed;
  }

  /** Those that there are now, whatever was before: nothing was unwrapped yet. */
  begin(): void {
    this.#inForce = this.settings.encryptionKeys.current;
  }

  /**
   * Takes over what `ENCRYPTION_KEYS` has become. What is another key than it was under its id has to unwrap what lies wrapped by
   * that id, or the former stays: what the new one wraps could be unwrapped by nobody who has the right one.
   */
  async takeOver(stored: readonly WrappedDataKey[]): Promise<void> {
    const taken: KeyEncryptionKey[] = [];
    const misnamed: string[] = [];
    for (const given of this.settings.encryptionKeys.current) {
      const former = this.#inForce.find(({ id }) => id === given.id);
      if (former && isSameKey(former, given)) {
        taken.push(former);
        continue;
      }
      const isRight = await this.#unwrapsItsOwn(given, stored);
      if (isRight === false) misnamed.push(given.id);
      const kept = isRight || (isRight === undefined && !former) ? given : former;
      if (kept) taken.push(kept);
    }
    const [first, ...rest] = taken;
    if (first) this.#inForce = [first, ...rest];
    for (const id of misnamed)
      if (!this.#misnamed.includes(id))
        this.logger.error(
          `ENCRYPTION_KEYS has another key under "${id}" than this database was sealed with: it is not used, and nothing would start with it; give back the former`,
        );
    this.#misnamed = misnamed;
  }

  /** By the first. Throws KeyServiceError. */
  async wrap(id: string, purpose: KeyPurpose, plain: Buffer): Promise<WrappedDataKey> {
    const kek = this.first;
    const wrapping = await this.#wrappingBy(kek);
    return { id, purpose, kekId: kek.id, wrapped: await wrapping.wrap(plain, bindingOf({ id, purpose })) };
  }

  /** Throws ConfigurationError or KeyServiceError. */
  async unwrap(stored: WrappedDataKey): Promise<Buffer> {
    const { kekId } = stored;
    const kek = this.#inForce.find(({ id }) => id === kekId);
    if (!kek && !this.#misnamed.includes(kekId)) {
      throw new ConfigurationError([
        `ENCRYPTION_KEYS has no key "${kekId}", which this database was sealed with (it has: ${this.ids.join(', ')}); add it`,
      ]);
    }
    const plain = kek && (await unwrapBy(await this.#wrappingBy(kek), stored));
    if (plain) return plain;
    throw new ConfigurationError([
      `ENCRYPTION_KEYS: key "${kekId}" is not the one that this database was sealed with; give back the former bytes under that id`,
    ]);
  }

  /** Undefined where its service did not say. */
  async #unwrapsItsOwn(
    kek: KeyEncryptionKey,
    stored: readonly WrappedDataKey[],
  ): Promise<boolean | undefined> {
    const own = stored.find(({ kekId }) => kekId === kek.id);
    if (!own) return true;
    try {
      return (await unwrapBy(await wrappingOf(kek, this.settings.keyServices), own)) !== undefined;
    } catch (error) {
      if (!(error instanceof KeyServiceError)) throw error;
      return undefined;
    }
  }

  /** One client of a service, however many keys it unwraps; another where ENCRYPTION_KEYS has changed. */
  async #wrappingBy(key: KeyEncryptionKey): Promise<KeyWrapping> {
    const made = this.#wrappings.get(key.id);
    if (made?.key === key) return made.wrapping;
    const wrapping = await wrappingOf(key, this.settings.keyServices);
    this.#wrappings.set(key.id, { key, wrapping });
    return wrapping;
  }
}

/** Undefined where it is not what has wrapped it. Throws KeyServiceError. */
export async function unwrapBy(wrapping: KeyWrapping, stored: WrappedDataKey): Promise<Buffer | undefined> {
  const plain = await wrapping.unwrap(stored.wrapped, bindingOf(stored));
  return plain?.length === KEY_BYTES ? plain : undefined;
}

export function bindingOf({ id, purpose }: Pick<WrappedDataKey, 'id' | 'purpose'>): Buffer {
  return Buffer.from(JSON.stringify(['token-broker data key', id, purpose]));
}
