import { readFileSync } from 'node:fs';
import { Secret } from '../shared/secret.js';
import { isLoopbackHost } from './addresses.js';
import type { KeyEncryptionKeys, RemoteKey } from './encryption-keys.js';
import type { Environment } from './environment.js';
import { LiveValue } from './live-value.js';
import { ConfigurationError } from './mistakes.js';
import type { Variables } from './variables.js';

/** Vault's, or OpenBao's, transit engine. */
export interface TransitSettings {
  /** Without a slash at the end. */
  readonly address: string;
  readonly mount: string;
  readonly namespace: string | null;
  readonly token: LiveValue<Secret>;
  /** PEM of the authority that signed its certificate; null: the system's. */
  readonly ca: string | null;
}

/** Where keys are that are not here. */
export interface KeyServices {
  readonly transit: TransitSettings | null;
  /** In place of the region's own; null: that. */
  readonly kmsEndpoint: string | null;
}

type Named = Pick<
  Variables,
  'AWS_KMS_ENDPOINT' | 'VAULT_ADDR' | 'VAULT_CACERT' | 'VAULT_NAMESPACE' | 'VAULT_TRANSIT_MOUNT'
> &
  Pick<Variables, 'ALLOW_INSECURE_HTTP'>;

/** Throws a ConfigurationError where a key is of a service of which too little is known, or that would be asked in the open. */
export function readKeyServices(
  environment: Environment,
  variables: Named,
  keys: KeyEncryptionKeys,
  production: boolean,
): KeyServices {
  const lines: string[] = [];
  for (const name of ['AWS_KMS_ENDPOINT', 'VAULT_ADDR'] as const)
    if (production && !variables.ALLOW_INSECURE_HTTP && isOpen(variables[name]))
      lines.push(`${name} must be https, but for a host on loopback`);
  const ofTransit = keys.find((key): key is RemoteKey => 'service' in key && key.service === 'transit');
  const hasToken = environment.secret('VAULT_TOKEN') !== undefined;
  if (ofTransit && !(variables.VAULT_ADDR && hasToken))
    lines.push(
      `ENCRYPTION_KEYS: key "${ofTransit.id}" needs VAULT_ADDR and VAULT_TOKEN (or VAULT_TOKEN_FILE)`,
    );
  if (lines.length > 0) throw new ConfigurationError(lines);
  return {
    kmsEndpoint: variables.AWS_KMS_ENDPOINT?.replace(/\/+$/, '') ?? null,
    transit:
      variables.VAULT_ADDR && hasToken ? transitOf(environment, variables, variables.VAULT_ADDR) : null,
  };
}

function transitOf(environment: Environment, variables: Named, address: string): TransitSettings {
  return {
    address: address.replace(/\/+$/, ''),
    mount: variables.VAULT_TRANSIT_MOUNT,
    namespace: variables.VAULT_NAMESPACE ?? null,
    ca: variables.VAULT_CACERT ? readCa(variables.VAULT_CACERT) : null,
    token: LiveValue.of(environment, ['VAULT_TOKEN'], () => {
      const text = environment.secret('VAULT_TOKEN') ?? '';
      if (!/^[\x21-\x7e]{1,4096}$/.test(text))
        throw new ConfigurationError([
          'VAULT_TOKEN must be printable ASCII without spaces: it travels in a header',
        ]);
      return new Secret(text);
    }),
  };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigurationError([
      `VAULT_CACERT: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`,
    ]);
  }
}

function isOpen(address: string | undefined): boolean {
  return !!address && /^http:/.test(address) && !isLoopbackHost(new URL(address).hostname);
}
