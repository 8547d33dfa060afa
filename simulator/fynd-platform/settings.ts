import { commonDefaults, commonSchema, type CommonSettings } from '../common-settings.js';
import { EXPIRY_STYLES, type ExpiryStyle } from '../expiry.js';
import { rotationDefaults, rotationSchema, type RotationSettings } from '../refresh-tokens.js';

export type RenewalDialect = 'document' | 'library';

/** How the simulated Fynd Platform behaves. README.md explains each. */
export interface FyndSettings extends CommonSettings, RotationSettings {
  readonly consent: 'approve' | 'ask' | 'deny';
  readonly error_style: 'rfc6749' | 'fynd';
  readonly dialects: readonly RenewalDialect[];
  /** The HTTP status of a renewal in a dialect that is not accepted. */
  readonly refused_dialect_status: number;
  readonly omit_refresh_token: boolean;
  readonly expiry: ExpiryStyle;
  /** Seconds, for offline tokens minted from now on. */
  readonly token_ttl: number;
  /** The same for online tokens. */
  readonly online_token_ttl: number;
  /** Grants no scopes but these; null grants all that were asked for. */
  readonly granted_scopes: readonly string[] | null;
  /** Who gives consent from now on, unless the browser's cookie names another: the user of an online token. */
  readonly user_id: string;
  /** What the extension's details say of it. */
  readonly extension_url: string;
  readonly extension_scopes: readonly string[];
}

/** Seconds: two hours, as Fynd has it. */
const ONLINE_TOKEN_TTL = 2 * 3600;

/** @param tokenTtl seconds, of offline tokens */
export function fyndDefaults(tokenTtl: number): FyndSettings {
  return {
    ...commonDefaults,
    ...rotationDefaults,
    consent: 'approve',
    error_style: 'rfc6749',
    dialects: ['document', 'library'],
    refused_dialect_status: 400,
    omit_refresh_token: false,
    expiry: 'both',
    token_ttl: tokenTtl,
    online_token_ttl: ONLINE_TOKEN_TTL,
    granted_scopes: null,
    user_id: 'simulated-user',
    extension_url: 'http://127.0.0.1:8081',
    extension_scopes: ['company/profile', 'company/products'],
  };
}

const texts = { type: 'array', items: { type: 'string', minLength: 1 } };

/** JSON schema of a change to the settings. */
export const fyndSettingsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...commonSchema,
    ...rotationSchema,
    consent: { enum: ['approve', 'ask', 'deny'] },
    error_style: { enum: ['rfc6749', 'fynd'] },
    dialects: { type: 'array', items: { enum: ['document', 'library'] } },
    refused_dialect_status: { type: 'integer', minimum: 400, maximum: 599 },
    omit_refresh_token: { type: 'boolean' },
    expiry: { enum: EXPIRY_STYLES },
    token_ttl: { type: 'integer', minimum: 1 },
    online_token_ttl: { type: 'integer', minimum: 1 },
    granted_scopes: { ...texts, type: ['array', 'null'] },
    user_id: { type: 'string', minLength: 1 },
    extension_url: { type: 'string', minLength: 1 },
    extension_scopes: texts,
  },
};
