import { commonDefaults, commonSchema, type CommonSettings } from '../common-settings.js';

/** How the simulated Konnect behaves. */
export interface KonnectSettings extends CommonSettings {
  /** The name of the token's field: an older API spelled it differently. */
  readonly field: 'access_token' | 'accessToken';
  /** Tokens are JWTs with an `exp`; otherwise opaque. */
  readonly jwt: boolean;
  /** A new token ends the one before it, for the same username. */
  readonly kills_previous: boolean;
  /** Seconds. */
  readonly token_ttl: number;
}

/** @param tokenTtl seconds */
export function konnectDefaults(tokenTtl: number): KonnectSettings {
  return { ...commonDefaults, field: 'access_token', jwt: false, kills_previous: false, token_ttl: tokenTtl };
}

/** JSON schema of a change to the settings. */
export const konnectSettingsSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...commonSchema,
    field: { enum: ['access_token', 'accessToken'] },
    jwt: { type: 'boolean' },
    kills_previous: { type: 'boolean' },
    token_ttl: { type: 'integer', minimum: 1 },
  },
};
