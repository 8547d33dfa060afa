import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Secret } from '../shared/secret.js';

/** What secret scanners look for: `tbk_`, 16 hex digits that name the key, and 256 random bits. */
const KEY = /^tbk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** A key as it is made: told once, and kept as a hash. */
export interface IssuedKey {
  /** The part that is no secret. */
  readonly id: string;
  readonly key: Secret;
  readonly hash: string;
}

export function issueKey(): IssuedKey {
  const id = randomBytes(8).toString('hex');
  const key = `tbk_${id}_${randomBytes(32).toString('base64url')}`;
  return { id, key: new Secret(key), hash: hashOf(key) };
}

/** Which key this claims to be; undefined where it is none of ours. */
export function keyIdOf(credential: string): string | undefined {
  return KEY.exec(credential)?.[1];
}

/**
 * SHA-256 in base64. A fast hash: nobody guesses 256 random bits, and a slow one would be a way to take the service down. As
 * a text it costs less than half of what a Buffer does, and every request pays for it.
 */
export function hashOf(credential: string): string {
  return hash('sha256', credential, 'base64');
}

const SHA256_BYTES = 32;
/** Written and compared at once, so that one does for all. */
const compared = Buffer.alloc(SHA256_BYTES);

/** Whether this is the hash that is kept. It takes the same time wherever they differ. */
export function isHash(hash: string, kept: Buffer): boolean {
  compared.write(hash, 'base64');
  return timingSafeEqual(compared, kept);
}
