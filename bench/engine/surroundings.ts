import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The one provider of every benchmark. */
export const PROVIDER = 'bench';
/** Twice the provider's timeout. */
export const LEASE_S = 20;

/** How fast the broker may ask. */
export interface Caps {
  readonly ratePerSecond: number;
  readonly concurrency: number;
}

/** What a broker is started with, in a process of its own or in this one. */
export interface Surroundings {
  readonly databaseUrl: string;
  readonly simulatorUrl: string;
  /** Where its list of providers is written. */
  readonly folder: string;
  readonly caps: Caps;
  /** Its connections to the database. */
  readonly pool?: number;
  /** Tokens that it keeps in memory, if not as many as where nothing is said. */
  readonly cachedTokens?: number;
}

/** For what a benchmark has to set up over the API. */
export const ADMIN_KEY = `test-secret-bench-${randomBytes(24).toString('hex')}`;

/** One key for all brokers of a run: they open what this program seals. */
const KEYS = `bench:${randomBytes(32).toString('base64')}`;
/** More connections do not make two cores faster. */
const POOL = 20;

/** The variables of a broker as it runs in production. Its provider takes a name and a password in one POST. */
export function variablesOf({
  databaseUrl,
  simulatorUrl,
  folder,
  caps,
  pool = POOL,
  cachedTokens,
}: Surroundings): Record<string, string> {
  const file = join(folder, 'providers.yaml');
  const provider = {
    kind: 'konnect',
    base_url: simulatorUrl,
    method: 'POST',
    credentials_in: 'body',
    timeout: `${LEASE_S / 2}s`,
    rate: `${caps.ratePerSecond}/s`,
    concurrency: caps.concurrency,
    allow_private: true,
  };
  // Every JSON is YAML.
  writeFileSync(file, JSON.stringify({ providers: { [PROVIDER]: provider } }));
  return {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: '0',
    PUBLIC_PORT: 'off',
    OPS_PORT: '0',
    DATABASE_URL: databaseUrl,
    DATABASE_POOL: String(pool),
    ENCRYPTION_KEYS: KEYS,
    ADMIN_KEY,
    PROVIDERS_FILE: file,
    LOG_LEVEL: 'warn',
    ...(cachedTokens === undefined ? {} : { CACHED_TOKENS: String(cachedTokens) }),
  };
}
