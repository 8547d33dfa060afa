import { readFileSync } from 'node:fs';
import { plainToInstance, type ClassConstructor } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { parseDocument, type Document } from 'yaml';
import { Secret } from '../shared/secret.js';
import { isLoopbackHost, isPrivateAddress } from './addresses.js';
import { Environment } from './environment.js';
import { LiveValue } from './live-value.js';
import { ConfigurationError, Mistakes } from './mistakes.js';
import type { DisabledProvider, ProviderSettings, SharedProviderSettings } from './provider-settings.js';
import { FyndPlatformShape, KonnectShape, type ProviderShape } from './provider-shapes.js';
import { mapTexts, render, variablesIn } from './template.js';
import { parseDuration, parseRate } from './units.js';

const PROVIDER_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Fynd's documents say one hour; it only counts where an answer does not tell. */
const KONNECT_TOKEN_TTL_S = 3_600;

/** What the file's settings depend on beside the file itself. */
export interface ProviderSurroundings {
  readonly publicUrl: string;
  readonly production: boolean;
  readonly allowInsecureHttp: boolean;
}

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
  for (const [name, written] of Object.entries(parseYaml(path))) {
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

function parseYaml(path: string): Record<string, Texts> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigurationError([
      `PROVIDERS_FILE: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`,
    ]);
  }
  const document = parseDocument(text);
  const fault = document.errors[0];
  // Its message would quote the line, and a line may hold a secret.
  if (fault)
    throw new ConfigurationError([
      `${path}: line ${fault.linePos?.[0].line ?? '?'}: not YAML (${fault.code})`,
    ]);
  const { providers, ...rest } = toValue(path, document);
  const isMap = (value: unknown): value is Texts =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(providers) || Object.keys(rest).length > 0 || !Object.values(providers).every(isMap)) {
    throw new ConfigurationError([`${path}: must hold "providers:" alone, and under it a map per provider`]);
  }
  return providers as Record<string, Texts>;
}

/** Aliases are resolved here: one without its anchor, or inside of it, is a mistake like any other. */
function toValue(path: string, document: Document): Texts {
  try {
    return JSON.parse(JSON.stringify(document.toJS() ?? {})) as Texts;
  } catch {
    throw new ConfigurationError([`${path}: an alias leads to nothing, or to itself`]);
  }
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

/** Reads one provider of the file. */
class ProviderReader {
  readonly #lines: string[] = [];

  constructor(
    private readonly name: string,
    private readonly written: Texts,
    private readonly environment: Environment,
    private readonly around: ProviderSurroundings,
  ) {}

  read(): ProviderSettings {
    switch (this.written['kind']) {
      case 'fynd-platform':
        return this.fyndPlatform();
      case 'konnect':
        return this.konnect();
      default:
        throw new ConfigurationError([`provider "${this.name}": kind must be one of fynd-platform, konnect`]);
    }
  }

  private fyndPlatform(): ProviderSettings {
    const shape = this.checked(FyndPlatformShape);
    const shared = this.shared(shape, 'unknown');
    return {
      ...shared,
      kind: 'fynd-platform',
      apiKey: shape.api_key,
      apiSecret: this.liveSecret('api_secret'),
      scopes: shape.scopes ?? [],
      renewal: shape.renewal ?? 'auto',
      uiUrl: shape.ui_url ? withoutSlash(shape.ui_url) : null,
    };
  }

  private konnect(): ProviderSettings {
    const shape = this.checked(KonnectShape);
    if (shape.credentials_in === 'body' && shape.method !== 'POST') {
      throw new ConfigurationError([`provider "${this.name}": credentials_in: body needs method: POST`]);
    }
    // Renewing is asking again with the same credential, which is never used up.
    const shared = this.shared(shape, 'none');
    return {
      ...shared,
      kind: 'konnect',
      tokenPath: shape.token_path ?? '/aggregator/v1/token',
      method: shape.method ?? 'GET',
      credentialsIn: shape.credentials_in ?? 'query',
      tokenTtlSeconds: shape.token_ttl ?? KONNECT_TOKEN_TTL_S,
    };
  }

  private checked<T extends ProviderShape>(shape: ClassConstructor<T>): T {
    const filled = mapTexts(this.written, (text) => render(text, this.environment)) as Texts;
    const instance = plainToInstance(shape, filled);
    const faults = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true });
    if (faults.length > 0) {
      throw new ConfigurationError(faults.map((fault) => `provider "${this.name}": ${explain(fault)}`));
    }
    return instance;
  }

  private shared(shape: ProviderShape, rotation: SharedProviderSettings['rotation']): SharedProviderSettings {
    const [from, to] = shape.renew_between ?? [0.6, 0.8];
    if (from > to) this.#lines.push('renew_between must go from the smaller to the larger');
    const timeoutMs = parseDuration(shape.timeout ?? '10s') ?? 0;
    if (timeoutMs < 100 || timeoutMs > 60_000) this.#lines.push('timeout must lie between 100ms and 60s');
    this.checkAddress(new URL(shape.base_url), shape.allow_private ?? false);
    if (this.#lines.length > 0) {
      throw new ConfigurationError(this.#lines.map((line) => `provider "${this.name}": ${line}`));
    }
    return {
      name: this.name,
      baseUrl: withoutSlash(shape.base_url),
      rotation: shape.rotation ?? rotation,
      deadGrantCodes: shape.dead_grant_codes ?? [],
      timeoutMs,
      ratePerSecond: parseRate(shape.rate ?? '50/s') ?? 50,
      concurrency: shape.concurrency ?? 20,
      renewBetween: [from, to],
      allowPrivate: shape.allow_private ?? false,
      publicUrl: withoutSlash(shape.public_url ?? this.around.publicUrl),
    };
  }

  private checkAddress(url: URL, allowPrivate: boolean): void {
    if (!this.around.production || isLoopbackHost(url.hostname)) return;
    if (url.protocol === 'http:' && !this.around.allowInsecureHttp) {
      this.#lines.push(
        'base_url is plain http, which would show every secret on the way: use https, or set ALLOW_INSECURE_HTTP=true',
      );
    }
    if (isPrivateAddress(url.hostname.replace(/^\[|\]$/g, '')) && !allowPrivate) {
      this.#lines.push('base_url is a private address: set allow_private: true if that is meant');
    }
  }

  private liveSecret(field: string): LiveValue<Secret> {
    const template = String(this.written[field]);
    const names = variablesIn(template).map((variable) => variable.name);
    return LiveValue.of(this.environment, names, () => new Secret(render(template, this.environment)));
  }
}

function refuseTwins(providers: readonly ProviderSettings[]): void {
  const seen = new Map<string, string>();
  for (const provider of providers) {
    if (provider.kind !== 'fynd-platform') continue;
    const key = `${provider.apiKey} ${new URL(provider.baseUrl).origin}`;
    const twin = seen.get(key);
    if (twin)
      throw new ConfigurationError([
        `providers "${twin}" and "${provider.name}" have the same api_key and base_url`,
      ]);
    seen.set(key, provider.name);
  }
}

/** A class-validator error in our words: the field and what it must be, never its value. */
export function explain(error: ValidationError): string {
  const reasons = Object.entries(error.constraints ?? { nested: 'is malformed' });
  const [rule, text] = reasons.at(-1) ?? ['', 'is malformed'];
  if (rule === 'whitelistValidation') return `${error.property} is no setting of this kind`;
  return text.startsWith(error.property) ? text : `${error.property} ${text}`;
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '');
}
