import type { KeyEncryptionKey } from '../config/encryption-keys.js';
import type { KeyServices } from '../config/key-services.js';
import { KeyServiceError, type KeyWrapping } from './key-wrapping.js';

/** A service's client is loaded where there is a key of that service. */
export async function wrappingOf(key: KeyEncryptionKey, services: KeyServices): Promise<KeyWrapping> {
  if (!('service' in key)) return new (await import('./local-wrapping.js')).LocalWrapping(key);
  if (key.service === 'aws-kms')
    return new (await import('./aws-kms-wrapping.js')).AwsKmsWrapping(key, services.kmsEndpoint);
  if (!services.transit) throw new KeyServiceError(key.id, 'VAULT_ADDR and VAULT_TOKEN are not set', false);
  return new (await import('./transit-wrapping.js')).TransitWrapping(key, services.transit);
}
