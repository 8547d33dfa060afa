import type { RateLimit } from './rate-limiter.js';

/** What every provider can be told, whatever else it knows. README.md explains each. */
export interface CommonSettings {
  /** How far the provider's wall clock is wrong, seconds: a fault's own offset comes on top. */
  readonly clock_offset_s: number;
  readonly rate_limit: RateLimit | null;
}

export const commonDefaults: CommonSettings = { clock_offset_s: 0, rate_limit: null };

/** JSON schema of the properties. */
export const commonSchema = {
  // A year: far beyond it a Date cannot be written.
  clock_offset_s: { type: 'number', minimum: -31_536_000, maximum: 31_536_000 },
  rate_limit: {
    type: ['object', 'null'],
    additionalProperties: false,
    required: ['per_second', 'burst'],
    properties: {
      per_second: { type: 'number', exclusiveMinimum: 0 },
      burst: { type: 'integer', minimum: 1 },
    },
  },
};
