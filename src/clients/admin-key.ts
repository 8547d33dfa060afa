import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { EVERYTHING, Permissions } from '../shared/permission.js';
import type { Secret } from '../shared/secret.js';
import type { KnownClient } from './client-directory.js';
import { hashOf, isHash } from './service-key.js';

/** The holder of ADMIN_KEY may do everything. */
export const ADMIN: KnownClient = {
  id: 'admin',
  keyId: 'admin',
  permissions: new Permissions([{ action: '*', resource: EVERYTHING }]),
};

/** ADMIN_KEY as it is now: where it comes from a file, that may change. */
@Injectable()
export class AdminKey {
  #hash: Buffer | null = null;

  constructor(@Inject(SETTINGS) settings: Settings) {
    if (!settings.adminKey) return;
    this.#hash = bytesOf(settings.adminKey.current);
    settings.adminKey.onChange((key) => (this.#hash = bytesOf(key)));
  }

  /** Is this the hash of it? */
  is(hash: string): boolean {
    return this.#hash !== null && isHash(hash, this.#hash);
  }
}

function bytesOf(key: Secret): Buffer {
  return Buffer.from(hashOf(key.reveal()), 'base64');
}
