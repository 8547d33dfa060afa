import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';

/** AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D): at most 2^32 envelopes a key. */
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OPTIONS = { authTagLength: TAG_BYTES } as const;

/** Encrypts into nonce | ciphertext | tag. The same additional data must be given to open it. */
export function encrypt(key: KeyObject, plain: Buffer, additional: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce, OPTIONS);
  cipher.setAAD(additional);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Decrypts what `encrypt` made; undefined where the key, the additional data or a single bit is another. */
export function decrypt(key: KeyObject, envelope: Buffer, additional: Buffer): Buffer | undefined {
  const tagAt = envelope.length - TAG_BYTES;
  if (tagAt < NONCE_BYTES) return undefined;
  const decipher = createDecipheriv(ALGORITHM, key, envelope.subarray(0, NONCE_BYTES), OPTIONS);
  decipher.setAAD(additional);
  decipher.setAuthTag(envelope.subarray(tagAt));
  const plain = decipher.update(envelope.subarray(NONCE_BYTES, tagAt));
  try {
    // In this mode nothing is held back until the end, which only says whether all of it is true.
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}
