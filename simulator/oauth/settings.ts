import { commonDefaults, commonSchema, type CommonSettings } from '../common-settings.js';
import { EXPIRY_STYLES, type ExpiryStyle } from '../expiry.js';
import { rotationDefaults, rotationSchema, type RotationSettings } from '../refresh-tokens.js';

export const GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials'] as const;
export type GrantType = (typeof GRANT_TYPES)[number];

/** `basic` is base64 of what is; `basic_encoded` form-encodes both parts first, as RFC 6749 section 2.3.1 has it. */
const CLIENT_AUTHENTICATIONS = ['basic', 'basic_encoded', 'body'] as const;
export type ClientAuthentication = (typeof CLIENT_AUTHENTICATIONS)[number];

/** How a simulated OAuth 2 provider behaves. README.md explains each. */
export interface OAuthSettings extends CommonSettings, RotationSettings {
  readonly consent: 'approve' | 'ask' | 'deny';
  readonly error_style: 'rfc6749' | 'connect';
  readonly grants: readonly GrantType[];
  readonly client_auth: readonly ClientAuthentication[];
  readonly bodies: readonly ('form' | 'json')[];
  readonly require_pkce: boolean;
  /** Secrets of the client beside the one that the simulator was started with. */
  readonly accepted_secrets: readonly string[];
  /** Whether the one that the simulator was started with is good still. */
  readonly first_secret: boolean;
  readonly omit_refresh_token: boolean;
  readonly expiry: ExpiryStyle;
  /** Seconds, for tokens minted from now on. */
  readonly token_ttl: number;
  /** Grants no scopes but these; null grants all that were asked for. */
  readonly granted_scopes: readonly string[] | null;
  /** Who gives consent from now on, unless the browser's cookie names another. */
  readonly user_id: string;
}

/** What the dialects do not agree on. */
export type DialectSettings = Pick<OAuthSettings, 'grants' | 'client_auth' | 'bodies' | 'expiry'>;

/** @param tokenTtl seconds */
export function oauthDefaults(tokenTtl: number, dialect: DialectSettings): OAuthSettings {
  return {
    ...commonDefaults,
    ...rotationDefaults,
    ...dialect,
    consent: 'approve',
    error_style: 'rfc6749',
    require_pkce: false,
    accepted_secrets: [],
    first_secret: true,
    omit_refresh_token: false,
    token_ttl: tokenTtl,
    granted_scopes: null,
    user_id: 'simulated-user',
  };
}

const texts = { type: 'array', items: { type: 'string', minLength: 1 } };
const some = (values: readonly string[]): object => ({ type: 'array', items: { enum: values } });

/** JSON schema of a change to the settings. */
export const oauthSettingsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...commonSchema,
    ...rotationSchema,
    consent: { enum: ['approve', 'ask', 'deny'] },
    error_style: { enum: ['rfc6749', 'connect'] },
    grants: some(GRANT_TYPES),
    client_auth: some(CLIENT_AUTHENTICATIONS),
    bodies: some(['form', 'json']),
    require_pkce: { type: 'boolean' },
    accepted_secrets: texts,
    first_secret: { type: 'boolean' },
    omit_refresh_token: { type: 'boolean' },
    expiry: { enum: EXPIRY_STYLES },
    token_ttl: { type: 'integer', minimum: 1 },
    granted_scopes: { ...texts, type: ['array', 'null'] },
    user_id: { type: 'string', minLength: 1 },
  },
};
