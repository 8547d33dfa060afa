import { createRequire } from 'node:module';
import type { Json } from './http.js';

/** As much of Fynd's own library as tests use. Its types describe the whole platform, and would take long to read. */
interface FdkPlatform {
  readonly PlatformConfig: new (config: Json) => FdkConfig;
  readonly PlatformClient: new (config: FdkConfig) => FdkClient;
}

export interface FdkConfig {
  readonly oauthClient: {
    token: string | null;
    refreshToken: string | null;
    token_expires_in: number;
    setToken(token: Json): void;
    startAuthorization(options: Json): string;
    verifyCallback(query: Json): Promise<void>;
    getOfflineAccessToken(scopes: readonly string[], code: string): Promise<Json>;
    renewAccessToken(isOffline: boolean): Promise<Json>;
  };
}

export interface FdkClient {
  readonly configuration: { getApplications(): Promise<Json> };
}

const { PlatformConfig, PlatformClient } = createRequire(import.meta.url)(
  '@gofynd/fdk-client-javascript/sdk/platform',
) as FdkPlatform;

/** A company's client of Fynd's library; without its timer, which would keep a test from ending, and without its log, into which it writes what it sends. */
export function fdk(
  domain: string,
  companyId: string,
  [apiKey, apiSecret]: readonly [string, string],
): FdkConfig {
  return new PlatformConfig({
    companyId,
    domain,
    apiKey,
    apiSecret,
    useAutoRenewTimer: false,
    logLevel: 'SILENT',
  });
}

/** The API that its token opens. */
export function fdkApi(config: FdkConfig): FdkClient {
  return new PlatformClient(config);
}
