import type { ClientCredentials } from '../client-credentials.js';
import { credentialsOf } from '../fields.js';

/** Whether an `Authorization` header carries these credentials in the Basic scheme. */
export function isClient(header: string | undefined, client: ClientCredentials): boolean {
  const encoded = credentialsOf(header, 'Basic');
  if (encoded === null) return false;
  return Buffer.from(encoded, 'base64').toString('utf8') === `${client.apiKey}:${client.apiSecret}`;
}
