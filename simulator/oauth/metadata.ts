import type { Dialect } from './dialect.js';
import type { OAuthSettings } from './settings.js';

/** The authorization server's description of itself (RFC 8414). */
export function metadataOf(issuer: string, dialect: Dialect, { grants, client_auth }: OAuthSettings): object {
  const methods = [
    ...(client_auth.some((method) => method !== 'body') ? ['client_secret_basic'] : []),
    ...(client_auth.includes('body') ? ['client_secret_post'] : []),
  ];
  return {
    issuer,
    authorization_endpoint: issuer + dialect.authorizePath,
    token_endpoint: issuer + dialect.tokenPath,
    ...(dialect.revokePath !== null && {
      revocation_endpoint: issuer + dialect.revokePath,
      revocation_endpoint_auth_methods_supported: methods,
    }),
    response_types_supported: ['code'],
    grant_types_supported: grants,
    token_endpoint_auth_methods_supported: methods,
    code_challenge_methods_supported: ['S256'],
  };
}
