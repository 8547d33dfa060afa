import { createHmac, type KeyObject } from 'node:crypto';
import { Injectable } from '@nestjs/common';
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

/** Format 1: one byte 1 | data key id (16 bytes) | nonce | ciphertext | tag. */
const FORMAT = 1;
const HEADER_BYTES = 17;

/** Characters of a fingerprint: 96 bits, so that two tokens never share one by chance. */
const FINGERPRINT_LENGTH = 24;

/** Seals secrets for their place in a row and opens them again. It knows nothing of what they are for. */
@Injectable()
export class Vault {
  constructor(private readonly ring: KeyRing) {}

  /** A few microseconds for a token. */
  seal(secret: Secret, place: Place): Sealed {
    const { id, key } = this.ring.newest('seal');
    const header = Buffer.concat([Buffer.of(FORMAT), bytesOf(id)]);
    const envelope = encrypt(key, Buffer.from(secret.reveal(), 'utf8'), bindingOf(header, place));
    return Buffer.concat([header, envelope]) as Sealed;
  }

  /** Throws a VaultError where the key is unknown, or the value was changed, or lies in another place. */
  open(sealed: Sealed, place: Place): Secret {
    const id = sealed.toString('latin1', 1, HEADER_BYTES);
    const dataKey = sealed[0] === FORMAT ? this.ring.byBytes(id) : undefined;
    if (!dataKey) throw new VaultError('unknown_key', place);
    const plain = decrypt(dataKey.key, sealed.subarray(HEADER_BYTES), bindingOf(sealed, place));
    if (!plain) throw new VaultError('tampered', place);
    return new Secret(plain.toString('utf8'));
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
