import type { DialectSettings } from './settings.js';

/** In what one OAuth 2 provider differs from another: where it answers, and how it spells its answers. */
export interface Dialect {
  /** As the provider is called in faults, settings and the ledger. */
  readonly name: string;
  readonly authorizePath: string;
  readonly tokenPath: string;
  readonly resourcePath: string;
  /** RFC 7009; null where there is none. */
  readonly revokePath: string | null;
  /** RFC 8414; null where there is none. */
  readonly metadataPath: string | null;
  readonly settings: DialectSettings;
  /** A header that carries the bare token, beside `Authorization: Bearer`. */
  readonly tokenHeader: string | null;
  /** Answers 406 to a token call that accepts no JSON. */
  readonly answersJsonOnly: boolean;
  /** Accepts a secret in the header and in the body of one call, which RFC 6749 section 2.3 forbids. */
  readonly allowsSecretTwice: boolean;
  /** Names its scheme in `WWW-Authenticate` to a client that failed in the header (RFC 6749 section 5.2). */
  readonly challengesClients: boolean;
  /** The fields of a token answer beside the tokens and their expiry. */
  describeToken(scopes: readonly string[]): object;
}

/** Connect: authorization codes and refresh tokens, JSON, an absolute expiry, `type` for the token's type. */
export const CONNECT: Dialect = {
  name: 'connect',
  authorizePath: '/connect/oAuth/authorize',
  tokenPath: '/connect/v1/oauth2/token',
  resourcePath: '/connect/v1/resource',
  revokePath: null,
  metadataPath: null,
  settings: {
    grants: ['authorization_code', 'refresh_token'],
    client_auth: ['basic', 'body'],
    bodies: ['json', 'form'],
    expiry: 'expires_at_seconds',
  },
  tokenHeader: 'accesstoken',
  answersJsonOnly: true,
  allowsSecretTwice: true,
  challengesClients: false,
  describeToken: () => ({ type: 'bearer' }),
};

/** A provider as RFC 6749, 7009, 7636 and 8414 want it; its issuer is the simulator's own origin. */
export const STANDARD: Dialect = {
  name: 'oauth2',
  authorizePath: '/oauth2/authorize',
  tokenPath: '/oauth2/token',
  resourcePath: '/oauth2/resource',
  revokePath: '/oauth2/revoke',
  metadataPath: '/.well-known/oauth-authorization-server',
  settings: {
    grants: ['authorization_code', 'refresh_token', 'client_credentials'],
    client_auth: ['basic', 'basic_encoded', 'body'],
    bodies: ['form'],
    expiry: 'expires_in',
  },
  tokenHeader: null,
  answersJsonOnly: false,
  allowsSecretTwice: false,
  challengesClients: true,
  describeToken: (scopes) => ({ token_type: 'Bearer', scope: scopes.join(' ') }),
};
