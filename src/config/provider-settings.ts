import { Secret } from '../shared/secret.js';
import type { LiveValue } from './live-value.js';
import type { FyndRenewal, Rotation } from './provider-shapes.js';

/** What every kind of provider shares, with defaults put in. Addresses have no slash at the end. */
export interface SharedProviderSettings {
  readonly name: string;
  readonly baseUrl: string;
  readonly rotation: Rotation;
  /** Body codes that mean the same as `invalid_grant`. */
  readonly deadGrantCodes: readonly string[];
  /** Milliseconds that one call to the provider may take, from connecting to the last byte. */
  readonly timeoutMs: number;
  readonly ratePerSecond: number;
  readonly concurrency: number;
  /** The part of a token's lifetime after which it is renewed: drawn between the two. */
  readonly renewBetween: readonly [number, number];
  readonly allowPrivate: boolean;
  /** Where browsers reach this provider's install and callback routes. */
  readonly publicUrl: string;
}

export interface FyndPlatformSettings extends SharedProviderSettings {
  readonly kind: 'fynd-platform';
  readonly apiKey: string;
  readonly apiSecret: LiveValue<Secret>;
  readonly scopes: readonly string[];
  readonly renewal: FyndRenewal;
  /** The extension's own pages; null where the broker shows a small page instead. */
  readonly uiUrl: string | null;
}

export interface KonnectSettings extends SharedProviderSettings {
  readonly kind: 'konnect';
  readonly tokenPath: string;
  readonly method: 'GET' | 'POST';
  readonly credentialsIn: 'query' | 'body';
  /** Seconds that a token is taken to live; Konnect publishes no lifetime. */
  readonly tokenTtlSeconds: number;
}

export type ProviderSettings = FyndPlatformSettings | KonnectSettings;

/** A provider of the file none of whose required variables is set. */
export interface DisabledProvider {
  readonly name: string;
  readonly missing: readonly string[];
}
