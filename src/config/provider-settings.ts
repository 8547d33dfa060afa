import { Secret } from '../shared/secret.js';
import type { LiveValue } from './live-value.js';
import type { ClientAuth, FyndAccessMode, FyndRenewal, OAuth2Grant, Rotation } from './provider-shapes.js';

/** What every kind of provider shares, with defaults put in. Addresses have no slash at the end. */
export interface SharedProviderSettings {
  readonly name: string;
  /** Where its tokens are good; null where nobody has said. */
  readonly baseUrl: string | null;
  readonly rotation: Rotation;
  /** Seconds in which a refresh token may be sent again after its first use, where `rotation` is `grace`. */
  readonly graceSeconds: number;
  /** Body codes that mean the same as `invalid_grant`. */
  readonly deadGrantCodes: readonly string[];
  /** Body codes that mean the same as `invalid_client`. */
  readonly clientErrorCodes: readonly string[];
  /** Seconds after which a secret that a person made is due to be replaced. */
  readonly rotateAfterSeconds: number;
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
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly apiSecret: LiveValue<Secret>;
  readonly scopes: readonly string[];
  readonly accessMode: FyndAccessMode;
  readonly renewal: FyndRenewal;
  /** The extension's own pages; null where the broker shows a small page instead. */
  readonly uiUrl: string | null;
  /** Whether Fynd may install the extension without a browser. */
  readonly autoInstall: boolean;
}

export interface KonnectSettings extends SharedProviderSettings {
  readonly kind: 'konnect';
  readonly baseUrl: string;
  readonly tokenPath: string;
  readonly method: 'GET' | 'POST';
  readonly credentialsIn: 'query' | 'body';
  /** Seconds that a token is taken to live; Konnect publishes no lifetime. */
  readonly tokenTtlSeconds: number;
}

/** The header that carries a token to its provider. */
export interface HeaderSettings {
  readonly name: string;
  /** Stands before the token; empty where the bare token is sent. */
  readonly scheme: string;
}

export interface OAuth2Settings extends SharedProviderSettings {
  readonly kind: 'oauth2';
  readonly baseUrl: string;
  /** Where to discover what is not written one by one (RFC 8414); null: nowhere. As it was written. */
  readonly issuer: string | null;
  readonly authorizeUrl: string | null;
  readonly tokenUrl: string | null;
  readonly revocationUrl: string | null;
  readonly clientId: string;
  /** Tried in order, so that a secret rotates without downtime. */
  readonly clientSecrets: LiveValue<readonly Secret[]>;
  readonly clientAuth: ClientAuth;
  readonly body: 'form' | 'json';
  readonly grant: OAuth2Grant;
  readonly scopes: readonly string[];
  readonly scopeSeparator: string;
  readonly pkce: boolean;
  /** Sent to the authorization endpoint beside what the protocol asks for. */
  readonly authorizeParams: Readonly<Record<string, string>>;
  /** Sent to the token endpoint beside what the protocol asks for. */
  readonly tokenParams: Readonly<Record<string, string>>;
  /** Whether a refresh names the redirect_uri, too. */
  readonly refreshWithRedirectUri: boolean;
  /** Seconds that a token is taken to live where an answer does not tell. */
  readonly tokenTtlSeconds: number;
  readonly header: HeaderSettings;
  /** Where a seller lands after consent; null where the broker shows a small page instead. */
  readonly uiUrl: string | null;
}

export interface PortalSettings extends SharedProviderSettings {
  readonly kind: 'portal';
  readonly header: HeaderSettings;
}

export type ProviderSettings = FyndPlatformSettings | KonnectSettings | OAuth2Settings | PortalSettings;

/** A provider of the file none of whose required variables is set. */
export interface DisabledProvider {
  readonly name: string;
  readonly missing: readonly string[];
}
