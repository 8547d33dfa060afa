import { createHmac, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Problem } from '../shared/problem.js';
import { Secret, type Sealed } from '../shared/secret.js';
import { decrypt, encrypt } from './envelope.js';
import { bytesOf, KeyRing } from './key-ring.js';

/** Where a sealed value lies. It opens there and nowhere else: moved in SQL to another row or column, it stays shut. */
export interface Place {
  readonly table: string;
  readonly column: string;
  readonly rowId: string;
  readonly provider: string;
  readonly companyId: string;
}

/** A sealed value that does not open. The row must be looked at by a person: nothing is ever made up in its stead. */
export class VaultError extends Error {
  constructor(
    readonly code: 'unknown_key' | 'tampered',
    place: Place,
  ) {
    const why =
      code === 'unknown_key' ? 'was sealed with a data key that is not in this key ring' : 'does not open';
    super(`${place.table}.${place.column} of ${place.rowId} ${why}`);
    this.name = 'VaultError';
  }
}

/** Gives up what met keys that are not known. */
class UnknownKeys extends Error {
  constructor(readonly values: readonly (Sealed | null)[]) {
    super('sealed by a data key that is not known here yet');
  }
}

/** Format 1: one byte 1 | data key id (16 bytes) | nonce | ciphertext | tag. */
const FORMAT = 1;
const HEADER_BYTES = 17;

/** Key ids that nobody has are asked for again after this long, in milliseconds; so many are remembered. */
const STRANGE_FOR_MS = 1_000;
const MOST_STRANGE = 1_000;

/** Characters of a fingerprint: 96 bits, so that two tokens never share one by chance. */
const FINGERPRINT_LENGTH = 24;

/** Seals secrets for their place in a row and opens them again. It knows nothing of what they are for. */
@Injectable()
export class Vault {
  readonly #strange = new LRUCache<string, true>({ max: MOST_STRANGE, ttl: STRANGE_FOR_MS });

  constructor(private readonly ring: KeyRing) {}

  /** A few microseconds for a token. */
  seal(secret: Secret, place: Place): Sealed {
    const { id, key } = this.ring.newest('seal');
    const header = Buffer.concat([Buffer.of(FORMAT), bytesOf(id)]);
    const envelope = encrypt(key, Buffer.from(secret.reveal(), 'utf8'), bindingOf(header, place));
    return Buffer.concat([header, envelope]) as Sealed;
  }

  /**
   * Looks for the keys of these where they are not known: another replica may have sealed with one that is newer than this
   * one's last look. To be awaited before `open` by whoever can wait. Throws Problem `store_unavailable`.
   */
  async know(...values: readonly (Sealed | null)[]): Promise<void> {
    for (const sealed of values) {
      const id = sealed && this.#unknownIn(sealed);
      if (!id) continue;
      await this.ring.refresh();
      if (!this.ring.byBytes(id)) this.#strange.set(id, true);
    }
  }

  /**
   * `know`, for what may wait for nothing but its database: a transaction. Where `check` meets a key that is not known, the work
   * is given up, and begun anew once that was looked for.
   */
  async knowing<T>(work: (check: (...values: readonly (Sealed | null)[]) => void) => Promise<T>): Promise<T> {
    try {
      return await work((...values) => {
        if (values.some((sealed) => sealed && this.#unknownIn(sealed))) throw new UnknownKeys(values);
      });
    } catch (error) {
      if (!(error instanceof UnknownKeys)) throw error;
      await this.know(...error.values);
      return work(() => undefined);
    }
  }

  /**
   * Throws a VaultError where the key is unknown, or the value was changed, or lies in another place; Problem `not_ready`
   * where its data key is there, and closed to this replica.
   */
  open(sealed: Sealed, place: Place): Secret {
    const id = sealed.toString('latin1', 1, HEADER_BYTES);
    const dataKey = sealed[0] === FORMAT ? this.ring.byBytes(id) : undefined;
    if (!dataKey) throw this.#unopened(sealed, place);
    const plain = decrypt(dataKey.key, sealed.subarray(HEADER_BYTES), bindingOf(sealed, place));
    if (!plain) throw new VaultError('tampered', place);
    return new Secret(plain.toString('utf8'));
  }

  /** Whether both hold the same, which two data keys may have sealed. False where either does not open here. */
  holdSame(one: Sealed, other: Sealed, place: Place): boolean {
    if (one.equals(other)) return true;
    try {
      return this.open(one, place).reveal() === this.open(other, place).reveal();
    } catch (error) {
      if (error instanceof VaultError || error instanceof Problem) return false;
      throw error;
    }
  }

  /** False while something that replicas have sealed is closed to this one. */
  get opensAll(): boolean {
    return this.ring.locked.length === 0;
  }

  /** The id of its data key, where that may have come since the last look. One that is closed here is looked for by itself. */
  #unknownIn(sealed: Sealed): string | undefined {
    const id = keyIdOf(sealed);
    if (!id || this.ring.byBytes(id) || this.#strange.has(id) || this.#isLocked(sealed)) return undefined;
    return id;
  }

  #isLocked(sealed: Sealed): boolean {
    const id = sealed.toString('hex', 1, HEADER_BYTES);
    return this.ring.locked.some((locked) => locked.id.replaceAll('-', '') === id);
  }

  #unopened(sealed: Sealed, place: Place): Error {
    if (!this.#isLocked(sealed)) return new VaultError('unknown_key', place);
    return new Problem(
      'not_ready',
      'This replica lacks the key-encryption key of what was asked for; another may have it.',
      { retry_after: 1 },
    );
  }

  /** A keyed fingerprint (hex): equal for equal secrets, of no use to anybody without the key. */
  fingerprint(secret: Secret): string {
    const { key } = this.ring.newest('fingerprint');
    return createHmac('sha256', key).update(secret.reveal()).digest('hex').slice(0, FINGERPRINT_LENGTH);
  }

  /** The key for signing what browsers carry (HMAC-SHA256), the same in all replicas. */
  signingKey(): KeyObject {
    return this.ring.newest('sign').key;
  }
}

/** The id of the data key, its 16 bytes in latin1; undefined of what is not of this format. */
function keyIdOf(sealed: Buffer): string | undefined {
  return sealed[0] === FORMAT ? sealed.toString('latin1', 1, HEADER_BYTES) : undefined;
}

/** Written anew for each, and used at once: there is one for each request. */
const binding = Buffer.alloc(4_096);

/** What a value that begins with this header is bound to. Valid until the next is asked for. */
function bindingOf(header: Buffer, place: Place): Buffer {
  const { table, column, rowId, provider, companyId } = place;
  const text = JSON.stringify([table, column, rowId, provider, companyId]);
  // Three bytes a character at the most.
  if (HEADER_BYTES + text.length * 3 > binding.length)
    return Buffer.concat([header.subarray(0, HEADER_BYTES), Buffer.from(text)]);
  header.copy(binding, 0, 0, HEADER_BYTES);
  return binding.subarray(0, HEADER_BYTES + binding.write(text, HEADER_BYTES));
}
