import { credentialsOf } from '../fields.js';

/** The one extension that is registered with the simulated Fynd Platform. */
export interface ClientCredentials {
  readonly apiKey: string;
  readonly apiSecret: string;
}

/** Whether an `Authorization` header carries these credentials in the Basic scheme. */
export function isClient(header: string | undefined, client: ClientCredentials): boolean {
  const encoded = credentialsOf(header, 'Basic');
  if (encoded === null) return false;
  return Buffer.from(encoded, 'base64').toString('utf8') === `${client.apiKey}:${client.apiSecret}`;
}
