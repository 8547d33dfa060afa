import { createSecretKey, KeyObject } from 'node:crypto';
import { ConfigurationError } from './mistakes.js';

/** A key-encryption key that is here: it wraps data keys and never touches a token. */
export interface LocalKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** One that a key service keeps to itself: it is asked to wrap and to unwrap. */
export interface RemoteKey {
  readonly id: string;
  readonly service: 'aws-kms' | 'transit';
  /** The service's name for it: an ARN, or the name of a transit key. */
  readonly name: string;
}

export type KeyEncryptionKey = LocalKey | RemoteKey;

export type KeyEncryptionKeys = readonly [KeyEncryptionKey, ...KeyEncryptionKey[]];

const KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9._-]{1,64}$/;
/** The ARN of a key, which names the region, too. Not of an alias: pointed to another key, it would open nothing any more. */
const KMS_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/[A-Za-z0-9/_-]{1,256}$/;
const TRANSIT_NAME = /^[A-Za-z0-9._-]{1,128}$/;
const HOW_TO_MAKE_ONE = 'make one with: openssl rand -base64 32';

/** 32 random bytes hold about 30 different values; fewer than this many means a pattern, not chance (odds below 1e-12). */
const FEWEST_DIFFERENT_BYTES = 17;

/** AES-256 test vectors that look random and are printed in NIST SP 800-38A and the GCM specification. */
const PUBLISHED_KEYS = new Set([
  '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
  'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
  'e3c08a8f06c6e3ad95a70557b23f75483ce33021a9c72b7025666204c69c0b72',
]);

/**
 * Reads `id:base64-of-32-bytes[,id:…]`, where `id:aws-kms:arn` and `id:transit:name` are keys of a service. The first
 * key encrypts, all decrypt. Throws a ConfigurationError with a line per mistake, which names the key's id and never its bytes.
 */
export function parseEncryptionKeys(text: string): KeyEncryptionKeys {
  const lines: string[] = [];
  const keys: KeyEncryptionKey[] = [];
  const seen = new Set<string>();
  text.split(',').forEach((entry, index) => {
    const [id, encoded, ...rest] = entry.trim().split(':');
    if (id && KEY_ID.test(id) && (encoded === 'aws-kms' || encoded === 'transit')) {
      const key: RemoteKey = { id, service: encoded, name: rest.join(':') };
      const fault = remoteFaultOf(key) ?? (seen.has(id) ? 'stands there twice' : undefined);
      seen.add(id);
      if (fault) lines.push(`ENCRYPTION_KEYS: key "${id}" ${fault}`);
      else keys.push(key);
      return;
    }
    if (!id || !encoded || rest.length > 0 || !KEY_ID.test(id)) {
      lines.push(`ENCRYPTION_KEYS: entry ${index + 1} must be id:base64-of-32-bytes; ${HOW_TO_MAKE_ONE}`);
      return;
    }
    const bytes = Buffer.from(encoded, 'base64');
    const fault = faultOf(bytes, encoded) ?? (seen.has(id) ? 'stands there twice' : undefined);
    seen.add(id);
    if (fault) lines.push(`ENCRYPTION_KEYS: key "${id}" ${fault}`);
    else keys.push({ id, key: createSecretKey(bytes) });
  });
  if (lines.length > 0) throw new ConfigurationError(lines);
  return keys as [KeyEncryptionKey, ...KeyEncryptionKey[]];
}

/** Whether they are one key; by its own bytes, or by where it is kept. */
export function isSameKey(one: KeyEncryptionKey, other: KeyEncryptionKey): boolean {
  if ('service' in one || 'service' in other)
    return 'service' in one && 'service' in other && one.service === other.service && one.name === other.name;
  return one.key.equals(other.key);
}

/** The region of an `aws-kms` key, as its ARN says. */
export function regionOf({ name }: RemoteKey): string {
  return KMS_ARN.exec(name)?.[1] ?? '';
}

function remoteFaultOf({ service, name }: RemoteKey): string | undefined {
  if (service === 'aws-kms' && !KMS_ARN.test(name))
    return 'must be aws-kms: and the whole ARN of a key (an alias may come to name another), arn:aws:kms:region:account:key/id';
  if (service === 'transit' && !TRANSIT_NAME.test(name))
    return 'must be transit: and the name of a transit key';
  return undefined;
}

function faultOf(bytes: Buffer, encoded: string): string | undefined {
  const canonical = bytes.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
  if (!canonical || bytes.length !== KEY_BYTES)
    return `must be the base64 of ${KEY_BYTES} bytes; ${HOW_TO_MAKE_ONE}`;
  if (isPattern(bytes) || PUBLISHED_KEYS.has(bytes.toString('hex'))) {
    return `is a text, a pattern or a published example and not a random key; ${HOW_TO_MAKE_ONE}`;
  }
  return undefined;
}

/** All alike, repeated, readable as text, or counting up or down: nothing that a random generator makes. */
function isPattern(bytes: Buffer): boolean {
  const values = [...bytes];
  if (new Set(values).size < FEWEST_DIFFERENT_BYTES) return true;
  if (values.every((byte) => byte >= 0x20 && byte < 0x7f)) return true;
  const steps = new Set(values.slice(1).map((byte, index) => (byte - (values[index] ?? 0)) & 0xff));
  return steps.size === 1;
}
