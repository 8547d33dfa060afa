import type { ClientCredentials } from '../client-credentials.js';
import { credentialsOf, textField } from '../fields.js';
import type { Refusal } from '../refusal.js';
import type { Dialect } from './dialect.js';
import type { OAuthSettings } from './settings.js';

/** Who says to be the client, and by what. */
interface Claim {
  readonly id: string | null;
  readonly secret: string;
}

/** A refusal of the client, with the code that Connect has for it. */
export interface ClientRefusal extends Refusal {
  readonly connectCode: number;
}

const REQUIRED = 2032;
const INVALID = 2036;
const NOT_VALID_FOR_CLIENT = 2038;

/** Why this caller is not the registered client; null when it is. */
export function refuseClient(
  authorization: string | undefined,
  fields: unknown,
  client: ClientCredentials,
  settings: OAuthSettings,
  dialect: Dialect,
): ClientRefusal | Refusal | null {
  const header = credentialsOf(authorization, 'Basic');
  const inBody = inBodyOf(fields, settings);
  if (header !== null && inBody !== null && !dialect.allowsSecretTwice) {
    return { error: 'invalid_request', description: 'The client authenticated twice', status: 400 };
  }
  const claims = [...(header === null ? [] : [inHeaderOf(header, settings)]), ...(inBody ? [[inBody]] : [])];
  if (claims.length === 0) return refused(REQUIRED, 'The client did not authenticate');
  const id = textField(fields, 'client_id');
  if (id !== null && id !== client.apiKey) return refused(INVALID, 'The client is unknown');
  const secrets = [...(settings.first_secret ? [client.apiSecret] : []), ...settings.accepted_secrets];
  const isClient = (claim: Claim): boolean => claim.id === client.apiKey && secrets.includes(claim.secret);
  // Each place must hold the truth, in one of the encodings that are accepted there.
  if (claims.every((readings) => readings.some(isClient))) return null;
  const isKnown = claims.flat().some((claim) => claim.id === client.apiKey);
  return isKnown
    ? refused(NOT_VALID_FOR_CLIENT, 'The secret is not that of the client')
    : refused(INVALID, 'The client is unknown');
}

function inBodyOf(fields: unknown, { client_auth }: OAuthSettings): Claim | null {
  const secret = textField(fields, 'client_secret');
  if (secret === null || !client_auth.includes('body')) return null;
  return { id: textField(fields, 'client_id'), secret };
}

/** What a Basic header may mean, in each of the encodings that are accepted. */
function inHeaderOf(header: string, { client_auth }: OAuthSettings): Claim[] {
  const text = Buffer.from(header, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return [];
  const [id, secret] = [text.slice(0, colon), text.slice(colon + 1)];
  return [
    ...(client_auth.includes('basic') ? [{ id, secret }] : []),
    ...(client_auth.includes('basic_encoded') ? [{ id: formDecoded(id), secret: formDecoded(secret) }] : []),
  ];
}

function formDecoded(text: string): string {
  return new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? '';
}

function refused(connectCode: number, description: string): ClientRefusal {
  return { error: 'invalid_client', description, status: 401, connectCode };
}
