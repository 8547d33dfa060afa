import type { LocalKey } from '../config/encryption-keys.js';
import { decrypt, encrypt } from './envelope.js';
import type { KeyWrapping } from './key-wrapping.js';

/** A key that the process was given: from its environment, or a file. */
export class LocalWrapping implements KeyWrapping {
  constructor(private readonly local: LocalKey) {}

  wrap(plain: Buffer, binding: Buffer): Promise<Buffer> {
    return Promise.resolve(encrypt(this.local.key, plain, binding));
  }

  unwrap(wrapped: Buffer, binding: Buffer): Promise<Buffer | undefined> {
    return Promise.resolve(decrypt(this.local.key, wrapped, binding));
  }
}
