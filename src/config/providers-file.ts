import { Environment } from './environment.js';
import { ConfigurationError, Mistakes } from './mistakes.js';
import { ProviderReader, type ProviderSurroundings } from './provider-reader.js';
import type { DisabledProvider, ProviderSettings } from './provider-settings.js';
import { mapTexts, variablesIn } from './template.js';
import { readYaml } from './yaml-file.js';

const PROVIDER_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export interface ProvidersFile {
  readonly enabled: readonly ProviderSettings[];
  readonly disabled: readonly DisabledProvider[];
}

type Texts = Record<string, unknown>;

/** Reads and checks `PROVIDERS_FILE`. Throws a ConfigurationError with a line per mistake. */
export function readProvidersFile(
  path: string,
  environment: Environment,
  around: ProviderSurroundings,
): ProvidersFile {
  const mistakes = new Mistakes();
  const enabled: ProviderSettings[] = [];
  const disabled: DisabledProvider[] = [];
  for (const [name, written] of Object.entries(providersIn(path))) {
    mistakes.collect(() => {
      if (!PROVIDER_NAME.test(name))
        throw new ConfigurationError([`${path}: "${name}" is no provider name: use a-z 0-9 _ -`]);
      const missing = missingVariables(name, written, environment);
      if (missing.length > 0) disabled.push({ name, missing });
      else enabled.push(new ProviderReader(name, written, environment, around).read());
    });
  }
  mistakes.collect(() => refuseTwins(enabled));
  mistakes.throwIfAny();
  return { enabled, disabled };
}

function providersIn(path: string): Record<string, Texts> {
  const { providers, ...rest } = readYaml('PROVIDERS_FILE', path);
  const isMap = (value: unknown): value is Texts =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(providers) || Object.keys(rest).length > 0 || !Object.values(providers).every(isMap)) {
    throw new ConfigurationError([`${path}: must hold "providers:" alone, and under it a map per provider`]);
  }
  return providers as Record<string, Texts>;
}

/** The required variables that are unset: none of several set disables a provider, only some is a mistake. */
function missingVariables(name: string, written: Texts, environment: Environment): string[] {
  const required = new Set<string>();
  mapTexts(written, (text) => {
    for (const variable of variablesIn(text)) if (!variable.hasDefault) required.add(variable.name);
    return text;
  });
  const missing = [...required].filter((variable) => environment.secret(variable) === undefined);
  if (missing.length === 0 || missing.length === required.size) return missing;
  const present = [...required].filter((variable) => !missing.includes(variable));
  throw new ConfigurationError(
    missing.map(
      (variable) =>
        `provider "${name}": ${variable} is not set while ${present.join(', ')} is; set it, or unset all of them`,
    ),
  );
}

/** Two registrations in one place would each take the other's grants for its own. */
function refuseTwins(providers: readonly ProviderSettings[]): void {
  const seen = new Map<string, string>();
  for (const provider of providers) {
    const registration = registrationOf(provider);
    if (registration === null) continue;
    const twin = seen.get(registration);
    if (twin) {
      const field = provider.kind === 'oauth2' ? 'client_id' : 'api_key';
      throw new ConfigurationError([
        `providers "${twin}" and "${provider.name}" have the same ${field} and base_url`,
      ]);
    }
    seen.set(registration, provider.name);
  }
}

/** What must differ between two providers: a client, and where it is registered. */
function registrationOf(provider: ProviderSettings): string | null {
  if (provider.kind === 'fynd-platform') return `fynd ${provider.apiKey} ${new URL(provider.baseUrl).origin}`;
  if (provider.kind === 'oauth2') return `oauth2 ${provider.clientId} ${new URL(provider.baseUrl).href}`;
  return null;
}
