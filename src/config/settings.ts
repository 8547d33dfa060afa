import { existsSync, readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { Secret } from '../shared/secret.js';
import { isLoopbackHost, isNetwork } from './addresses.js';
import { readDatabaseAddresses, type DatabaseAddresses, type DatabaseSettings } from './database-settings.js';
import { parseEncryptionKeys, type KeyEncryptionKeys } from './encryption-keys.js';
import { Environment } from './environment.js';
import { readKeyServices, type KeyServices } from './key-services.js';
import { LiveValue } from './live-value.js';
import { ConfigurationError, Mistakes } from './mistakes.js';
import type { DisabledProvider, ProviderSettings } from './provider-settings.js';
import { explain } from './explain.js';
import { readProvidersFile } from './providers-file.js';
import { readTracing, type TracingTarget } from './tracing-target.js';
import { VARIABLE_NAMES, Variables } from './variables.js';
import { readClientsFile } from './clients-file.js';
import type { ClientDefinition } from './client-shape.js';
import { readWebhooks, type WebhookReceiver } from './webhooks-file.js';
import { readWorkloadIssuers, type WorkloadIssuer } from './workload-issuers.js';

const SHIPPED_PROVIDERS_FILE = fileURLToPath(new URL('../../config/providers.yaml', import.meta.url));
const ADMIN_KEY_LENGTH = 32;
/** No longer key is looked at when a request carries one. */
const ADMIN_KEY_LONGEST = 512;

/** Everything that the broker was told at its start. Ports are null where a listener is off. */
export interface Settings {
  readonly production: boolean;
  readonly host: string;
  readonly port: number | null;
  readonly publicPort: number | null;
  readonly opsPort: number | null;
  /** Whether other processes of this machine may have the first two ports, too. */
  readonly sharePorts: boolean;
  /** Seconds for which requests are still taken after a stop has begun and readiness has fallen. */
  readonly serveWhileStoppingS: number;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly trustedProxies: readonly string[];
  /** Without a slash at the end. */
  readonly publicUrl: string;
  readonly database: DatabaseSettings;
  /** Tokens in hand that are remembered, and for how many seconds they are served while the database is away. */
  readonly cache: { readonly rows: number; readonly withoutDatabaseS: number };
  readonly encryptionKeys: LiveValue<KeyEncryptionKeys>;
  readonly keyServices: KeyServices;
  /** Rows a second that are sealed anew after another data key was taken into use. */
  readonly keyRotationRate: number;
  readonly adminKey: LiveValue<Secret> | null;
  readonly providers: readonly ProviderSettings[];
  readonly disabledProviders: readonly DisabledProvider[];
  readonly audit: { readonly retentionDays: number; readonly stdout: boolean };
  /** Whose workloads' own tokens are believed. */
  readonly workloadIssuers: readonly WorkloadIssuer[];
  /** Who may call, as CLIENTS_FILE says; null where there is none. */
  readonly clients: readonly ClientDefinition[] | null;
  /** Who is told what happens, as WEBHOOKS_FILE says; null where there is none. */
  readonly webhooks: LiveValue<readonly WebhookReceiver[]> | null;
  /** Where traces go; null where nobody wants them. */
  readonly tracing: TracingTarget | null;
  readonly logLevel: Variables['LOG_LEVEL'];
  /** Things to know that do not stop the start. */
  readonly warnings: readonly string[];
}

/**
 * Reads the whole configuration once. Throws a ConfigurationError that lists every mistake, one clear line each.
 * The environment goes on watching secret files until it is closed.
 */
export function readSettings(environment: Environment): Settings {
  const mistakes = new Mistakes();
  const variables = mistakes.collect(() => readVariables(environment));
  const production = (environment.plain('NODE_ENV') ?? 'production') !== 'development';
  const publicUrl = publicUrlOf(environment, variables);
  const addresses = mistakes.collect(() => readDatabaseAddresses(environment));
  const encryptionKeys = mistakes.collect(() => encryptionKeysOf(environment));
  const adminKey = mistakes.collect(() => adminKeyOf(environment));
  const keyServices =
    variables &&
    encryptionKeys &&
    mistakes.collect(() => readKeyServices(environment, variables, encryptionKeys.current, production));
  const tls = mistakes.collect(() => tlsOf(environment));
  const around = { publicUrl, production, allowInsecureHttp: variables?.ALLOW_INSECURE_HTTP ?? false };
  const providers = mistakes.collect(() =>
    readProvidersFile(environment.plain('PROVIDERS_FILE') ?? SHIPPED_PROVIDERS_FILE, environment, around),
  );
  const tracing = mistakes.collect(() => (variables ? readTracing(environment, variables) : null));
  const clients = mistakes.collect(() => readClientsFile(environment));
  const workloadIssuers = mistakes.collect(() => readWorkloadIssuers(environment, around));
  const webhooks = mistakes.collect(() => readWebhooks(environment, around));
  mistakes.throwIfAny();
  if (!variables || !addresses || !encryptionKeys || !keyServices || !providers || !workloadIssuers)
    throw new Error('a mistake went unnoticed');
  const { enabled, disabled } = providers;
  return {
    production,
    host: variables.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: variables.PORT,
    publicPort: variables.PUBLIC_PORT,
    opsPort: variables.OPS_PORT,
    tls: tls ?? null,
    trustedProxies: trustedProxies(variables),
    publicUrl,
    sharePorts: variables.SHARE_PORTS,
    serveWhileStoppingS: variables.SERVE_WHILE_STOPPING,
    database: {
      ...addresses,
      poolSize: variables.DATABASE_POOL,
      migrateOnStart: variables.MIGRATE_ON_START,
      namedStatements: variables.DATABASE_NAMED_STATEMENTS,
      notifications: variables.DATABASE_NOTIFICATIONS,
    },
    cache: { rows: variables.CACHED_TOKENS, withoutDatabaseS: variables.SERVE_WITHOUT_DATABASE },
    encryptionKeys,
    keyServices,
    keyRotationRate: variables.KEY_ROTATION_RATE,
    adminKey: adminKey ?? null,
    providers: enabled,
    disabledProviders: disabled,
    audit: { retentionDays: variables.AUDIT_RETENTION_DAYS, stdout: variables.AUDIT_STDOUT },
    workloadIssuers,
    clients: clients ?? null,
    webhooks: webhooks ?? null,
    tracing: tracing ?? null,
    logLevel: variables.LOG_LEVEL,
    warnings: warningsOf({
      production,
      publicUrl,
      adminKey: adminKey ?? null,
      hasClients: (clients ?? null) !== null,
      enabled,
      disabled,
    }),
  };
}

/** What a command needs that works on the keys. Throws a ConfigurationError. */
export function readKeySettings(
  environment: Environment,
): DatabaseAddresses & Pick<Settings, 'encryptionKeys' | 'keyServices'> {
  const mistakes = new Mistakes();
  const addresses = mistakes.collect(() => readDatabaseAddresses(environment));
  const variables = mistakes.collect(() => readVariables(environment));
  const encryptionKeys = mistakes.collect(() => encryptionKeysOf(environment));
  mistakes.throwIfAny();
  if (!variables || !addresses || !encryptionKeys) throw new Error('a mistake went unnoticed');
  const production = variables.NODE_ENV !== 'development';
  const keyServices = readKeyServices(environment, variables, encryptionKeys.current, production);
  return { ...addresses, encryptionKeys, keyServices };
}

function readVariables(environment: Environment): Variables {
  const given: Record<string, string> = {};
  for (const name of VARIABLE_NAMES) {
    const value = environment.plain(name);
    if (value !== undefined) given[name] = value;
  }
  const variables = plainToInstance(Variables, given, { exposeDefaultValues: true });
  const lines = validateSync(variables).map(explain);
  if (variables.PORT === null && variables.PUBLIC_PORT === null) {
    lines.push('PORT and PUBLIC_PORT are both off: nothing would be served');
  }
  const ports = [variables.PORT, variables.PUBLIC_PORT, variables.OPS_PORT].filter(
    (port) => port !== null && port !== 0,
  );
  if (new Set(ports).size < ports.length) lines.push('PORT, PUBLIC_PORT and OPS_PORT must differ');
  const [port, publicPort] = [variables.PORT, variables.PUBLIC_PORT];
  if (variables.SHARE_PORTS && (port === 0 || publicPort === 0)) {
    lines.push(
      'SHARE_PORTS needs a PORT and a PUBLIC_PORT of one number or off: 0 is another in each process',
    );
  }
  const isDirect = ['DATABASE_DIRECT_URL', 'DATABASE_DIRECT_URL_FILE'].some((name) =>
    environment.plain(name),
  );
  if (!variables.DATABASE_NAMED_STATEMENTS && variables.DATABASE_NOTIFICATIONS && !isDirect) {
    lines.push(
      'DATABASE_NAMED_STATEMENTS=off is for a pooler, through which nobody can listen: set DATABASE_DIRECT_URL, or DATABASE_NOTIFICATIONS=off',
    );
  }
  const isMatched = !lines.some((line) => line.startsWith('TRUSTED_PROXIES'));
  if (isMatched && !trustedProxies(variables).every(isNetwork)) {
    lines.push('TRUSTED_PROXIES must be addresses or networks (10.0.0.0/8), separated by commas');
  }
  if (lines.length > 0) throw new ConfigurationError(lines);
  return variables;
}

function trustedProxies(variables: Variables): string[] {
  return (variables.TRUSTED_PROXIES ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

function publicUrlOf(environment: Environment, variables: Variables | undefined): string {
  const given = environment.plain('PUBLIC_URL') ?? `http://127.0.0.1:${variables?.PUBLIC_PORT || 8_081}`;
  return given.replace(/\/+$/, '');
}

function encryptionKeysOf(environment: Environment): Settings['encryptionKeys'] {
  const live = LiveValue.of(environment, ['ENCRYPTION_KEYS'], () => {
    const text = environment.secret('ENCRYPTION_KEYS');
    if (!text) {
      throw new ConfigurationError([
        'ENCRYPTION_KEYS is not set: id:base64-of-32-bytes; make the bytes with: openssl rand -base64 32',
      ]);
    }
    return parseEncryptionKeys(text);
  });
  live.onChange((keys) => {
    new Logger('Config').log(`ENCRYPTION_KEYS_FILE was read again: ${keys.map(({ id }) => id).join(', ')}`);
  });
  return live;
}

function adminKeyOf(environment: Environment): LiveValue<Secret> | null {
  if (environment.secret('ADMIN_KEY') === undefined) return null;
  const live = LiveValue.of(environment, ['ADMIN_KEY'], () => {
    const text = environment.secret('ADMIN_KEY') ?? '';
    if (text.length < ADMIN_KEY_LENGTH) {
      throw new ConfigurationError([
        `ADMIN_KEY must have at least ${ADMIN_KEY_LENGTH} characters; make one with: openssl rand -base64 32`,
      ]);
    }
    if (text.length > ADMIN_KEY_LONGEST) {
      throw new ConfigurationError([`ADMIN_KEY must have at most ${ADMIN_KEY_LONGEST} characters`]);
    }
    if (!/^[\x21-\x7e]+$/.test(text))
      throw new ConfigurationError([
        'ADMIN_KEY must be printable ASCII without spaces: it travels in a header',
      ]);
    return new Secret(text);
  });
  live.onChange(() => new Logger('Config').log('ADMIN_KEY_FILE was read again'));
  return live;
}

function tlsOf(environment: Environment): Settings['tls'] {
  const certFile = environment.plain('TLS_CERT_FILE');
  const keyFile = environment.plain('TLS_KEY_FILE');
  if (!certFile && !keyFile) return null;
  if (!certFile || !keyFile)
    throw new ConfigurationError(['TLS_CERT_FILE and TLS_KEY_FILE go together: set both or neither']);
  const missing = [certFile, keyFile].filter((path) => !existsSync(path));
  if (missing.length > 0)
    throw new ConfigurationError(missing.map((path) => `TLS: there is no file ${path}`));
  try {
    createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  } catch {
    throw new ConfigurationError(['TLS_CERT_FILE and TLS_KEY_FILE are not a certificate and its key in PEM']);
  }
  return { certFile, keyFile };
}

interface WarningGrounds {
  readonly production: boolean;
  readonly publicUrl: string;
  readonly adminKey: LiveValue<Secret> | null;
  readonly hasClients: boolean;
  readonly enabled: readonly ProviderSettings[];
  readonly disabled: readonly DisabledProvider[];
}

function warningsOf(grounds: WarningGrounds): string[] {
  const lines = grounds.disabled.map(
    ({ name, missing }) => `provider "${name}" is disabled: ${missing.join(', ')} not set`,
  );
  if (grounds.enabled.length === 0) lines.push('no provider is enabled: the broker has nothing to hold');
  if (!grounds.adminKey && !grounds.hasClients)
    lines.push('ADMIN_KEY and CLIENTS_FILE are not set: only clients that were made before can call /v1');
  if (
    grounds.production &&
    isLoopbackHost(new URL(grounds.publicUrl).hostname) &&
    grounds.enabled.some((it) => it.kind === 'fynd-platform' || it.kind === 'oauth2')
  ) {
    lines.push(`PUBLIC_URL is ${grounds.publicUrl}: browsers elsewhere cannot come back to it`);
  }
  if (
    grounds.production &&
    /^http:/.test(grounds.publicUrl) &&
    !isLoopbackHost(new URL(grounds.publicUrl).hostname)
  ) {
    lines.push('PUBLIC_URL is plain http: codes and cookies of every consent travel open');
  }
  return lines;
}
