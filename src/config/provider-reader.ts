import { plainToInstance, type ClassConstructor } from 'class-transformer';
import { validateSync } from 'class-validator';
import { Secret } from '../shared/secret.js';
import { isLoopbackHost, isPrivateAddress } from './addresses.js';
import { Environment } from './environment.js';
import { explain } from './explain.js';
import { LiveValue } from './live-value.js';
import { ConfigurationError } from './mistakes.js';
import type { HeaderSettings, ProviderSettings, SharedProviderSettings } from './provider-settings.js';
import {
  FyndPlatformShape,
  KonnectShape,
  OAuth2Shape,
  PortalShape,
  type HeaderShape,
  type ProviderShape,
} from './provider-shapes.js';
import { isMistyped, mapTexts, render, variablesIn } from './template.js';
import { parseDuration, parseRate } from './units.js';

/** What a provider's settings depend on beside the file itself. */
export interface ProviderSurroundings {
  readonly publicUrl: string;
  readonly production: boolean;
  readonly allowInsecureHttp: boolean;
}

/** Where a provider tells no lifetime, this counts unless the file says otherwise: what Fynd's documents name. */
const TOKEN_TTL_S = 3_600;

const DAY_MS = 86_400_000;
/** Ten years; what is put off for longer is never done. */
const MOST_ROTATE_AFTER_D = 3_650;

/** Parameters that the protocol itself sends: written in the file, they would break it unseen. */
const PROTOCOL_PARAMETERS =
  /^(client_id|client_secret|redirect_uri|response_type|scope|state|code|code_verifier|code_challenge|code_challenge_method|grant_type|refresh_token)$/;

/** Reads one provider of the file. `read` throws a ConfigurationError with a line per mistake. */
export class ProviderReader {
  readonly #lines: string[] = [];

  constructor(
    private readonly name: string,
    private readonly written: Record<string, unknown>,
    private readonly environment: Environment,
    private readonly around: ProviderSurroundings,
  ) {}

  read(): ProviderSettings {
    const settings = this.#ofKind(this.written['kind']);
    this.#throwIfAny();
    return settings;
  }

  #throwIfAny(): void {
    if (this.#lines.length === 0) return;
    throw new ConfigurationError(this.#lines.map((line) => `provider "${this.name}": ${line}`));
  }

  /** What was meant to be a variable would become the credential itself, unseen. */
  #refuseMistyped(): void {
    for (const [field, value] of Object.entries(this.written)) {
      mapTexts(value, (text) => {
        if (isMistyped(text))
          this.#lines.push(`${field} names no variable: write \${NAME} or \${NAME:-default}`);
        return text;
      });
    }
    this.#throwIfAny();
  }

  #ofKind(kind: unknown): ProviderSettings {
    switch (kind) {
      case 'fynd-platform':
        return this.#fyndPlatform();
      case 'konnect':
        return this.#konnect();
      case 'oauth2':
        return this.#oauth2();
      case 'portal':
        return this.#portal();
      default:
        throw new ConfigurationError([
          `provider "${this.name}": kind must be one of fynd-platform, konnect, oauth2, portal`,
        ]);
    }
  }

  #fyndPlatform(): ProviderSettings {
    const shape = this.#checked(FyndPlatformShape);
    const accessMode = shape.access_mode ?? 'offline';
    if (accessMode !== 'offline' && shape.ui_url === undefined) {
      this.#lines.push(`access_mode: ${accessMode} needs ui_url: a user's session is handed over there`);
    }
    if (accessMode === 'online' && shape.auto_install) {
      this.#lines.push('auto_install needs access_mode offline or both: nobody is there to have a session');
    }
    this.#checkAddress('base_url', shape.base_url, shape);
    return {
      ...this.#shared(shape, 'unknown'),
      kind: 'fynd-platform',
      baseUrl: withoutSlash(shape.base_url),
      apiKey: shape.api_key,
      apiSecret: this.#live('api_secret'),
      scopes: shape.scopes ?? [],
      accessMode,
      renewal: shape.renewal ?? 'auto',
      uiUrl: shape.ui_url ? withoutSlash(shape.ui_url) : null,
      autoInstall: shape.auto_install ?? false,
    };
  }

  #konnect(): ProviderSettings {
    const shape = this.#checked(KonnectShape);
    if (shape.credentials_in === 'body' && shape.method !== 'POST') {
      this.#lines.push('credentials_in: body needs method: POST');
    }
    this.#checkAddress('base_url', shape.base_url, shape);
    return {
      // Renewing is asking again with the same credential, which is never used up.
      ...this.#shared(shape, 'none'),
      kind: 'konnect',
      baseUrl: withoutSlash(shape.base_url),
      tokenPath: shape.token_path ?? '/aggregator/v1/token',
      method: shape.method ?? 'GET',
      credentialsIn: shape.credentials_in ?? 'query',
      tokenTtlSeconds: shape.token_ttl ?? TOKEN_TTL_S,
    };
  }

  #oauth2(): ProviderSettings {
    const shape = this.#checked(OAuth2Shape);
    const grant = shape.grant ?? 'authorization_code';
    const { issuer, authorize_url, token_url, revocation_url, base_url } = shape;
    if (
      issuer === undefined &&
      (token_url === undefined || (grant === 'authorization_code' && !authorize_url))
    ) {
      this.#lines.push(
        'needs issuer, or authorize_url and token_url (token_url alone for client_credentials)',
      );
    }
    if ((shape.client_secret === undefined) === (shape.client_secrets === undefined)) {
      const both = shape.client_secret === undefined ? '' : ', not both';
      this.#lines.push(`needs either client_secret or client_secrets${both}`);
    }
    for (const [field, address] of Object.entries({
      issuer,
      authorize_url,
      token_url,
      revocation_url,
      base_url,
    })) {
      if (address !== undefined) this.#checkAddress(field, address, shape);
    }
    return {
      ...this.#shared(shape, grant === 'client_credentials' ? 'none' : 'unknown'),
      kind: 'oauth2',
      baseUrl: withoutSlash(base_url ?? originOf(issuer ?? token_url)),
      issuer: issuer ?? null,
      authorizeUrl: authorize_url ?? null,
      tokenUrl: token_url ?? null,
      revocationUrl: revocation_url ?? null,
      clientId: shape.client_id,
      clientSecrets: this.#liveList(shape.client_secrets === undefined ? 'client_secret' : 'client_secrets'),
      clientAuth: shape.client_auth ?? 'basic',
      body: shape.body ?? 'form',
      grant,
      scopes: shape.scopes ?? [],
      scopeSeparator: shape.scope_separator ?? ' ',
      pkce: shape.pkce ?? true,
      authorizeParams: this.#parameters('authorize_params', shape.authorize_params),
      tokenParams: this.#parameters('token_params', shape.token_params),
      refreshWithRedirectUri: shape.refresh_with_redirect_uri ?? false,
      tokenTtlSeconds: shape.token_ttl ?? TOKEN_TTL_S,
      header: headerOf(shape.header),
      uiUrl: shape.ui_url ? withoutSlash(shape.ui_url) : null,
    };
  }

  #portal(): ProviderSettings {
    const shape = this.#checked(PortalShape);
    if (shape.base_url !== undefined) this.#checkAddress('base_url', shape.base_url, shape);
    return {
      ...this.#shared(shape, 'none'),
      kind: 'portal',
      baseUrl: shape.base_url === undefined ? null : withoutSlash(shape.base_url),
      header: headerOf(shape.header),
    };
  }

  #checked<T extends ProviderShape>(shape: ClassConstructor<T>): T {
    this.#refuseMistyped();
    const filled = mapTexts(this.written, (text) => render(text, this.environment));
    const instance = plainToInstance(shape, filled);
    const faults = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true });
    if (faults.length > 0) {
      throw new ConfigurationError(faults.map((fault) => `provider "${this.name}": ${explain(fault)}`));
    }
    return instance;
  }

  #shared(
    shape: ProviderShape,
    rotation: SharedProviderSettings['rotation'],
  ): Omit<SharedProviderSettings, 'baseUrl'> {
    const [from, to] = shape.renew_between ?? [0.6, 0.8];
    if (from > to) this.#lines.push('renew_between must go from the smaller to the larger');
    const timeoutMs = parseDuration(shape.timeout ?? '10s') ?? 0;
    if (timeoutMs < 100 || timeoutMs > 60_000) this.#lines.push('timeout must lie between 100ms and 60s');
    const rotateAfterMs = parseDuration(shape.rotate_after ?? '90d') ?? 0;
    if (rotateAfterMs < DAY_MS || rotateAfterMs > MOST_ROTATE_AFTER_D * DAY_MS) {
      this.#lines.push(`rotate_after must lie between 1d and ${MOST_ROTATE_AFTER_D}d`);
    }
    const graceMs = parseDuration(shape.rotation_grace ?? '30s') ?? 0;
    if (graceMs < 1_000 || graceMs > DAY_MS) this.#lines.push('rotation_grace must lie between 1s and 1d');
    if (shape.rotation_grace !== undefined && shape.rotation !== 'grace') {
      this.#lines.push('rotation_grace needs rotation: grace');
    }
    return {
      name: this.name,
      rotation: shape.rotation ?? rotation,
      graceSeconds: graceMs / 1_000,
      deadGrantCodes: shape.dead_grant_codes ?? [],
      clientErrorCodes: shape.client_error_codes ?? [],
      rotateAfterSeconds: rotateAfterMs / 1_000,
      timeoutMs,
      ratePerSecond: parseRate(shape.rate ?? '50/s') ?? 50,
      concurrency: shape.concurrency ?? 20,
      renewBetween: [from, to],
      allowPrivate: shape.allow_private ?? false,
      publicUrl: withoutSlash(shape.public_url ?? this.around.publicUrl),
    };
  }

  #checkAddress(field: string, address: string, { allow_private: allowPrivate }: ProviderShape): void {
    const url = new URL(address);
    if (!this.around.production || isLoopbackHost(url.hostname)) return;
    if (url.protocol === 'http:' && !this.around.allowInsecureHttp) {
      this.#lines.push(
        `${field} is plain http, which would show every secret on the way: use https, or set ALLOW_INSECURE_HTTP=true`,
      );
    }
    if (isPrivateAddress(url.hostname.replace(/^\[|\]$/g, '')) && !allowPrivate) {
      this.#lines.push(`${field} is a private address: set allow_private: true if that is meant`);
    }
  }

  #parameters(field: string, written: Record<string, unknown> = {}): Record<string, string> {
    for (const [name, value] of Object.entries(written)) {
      if (PROTOCOL_PARAMETERS.test(name)) this.#lines.push(`${field}: ${name} is the protocol's own`);
      if (!['string', 'number', 'boolean'].includes(typeof value)) {
        this.#lines.push(`${field}: ${name} must be a text`);
      }
    }
    return Object.fromEntries(Object.entries(written).map(([name, value]) => [name, String(value)]));
  }

  #live(field: string): LiveValue<Secret> {
    const template = String(this.written[field]);
    return LiveValue.of(this.environment, namesIn([template]), () => this.#rendered(template));
  }

  #liveList(field: string): LiveValue<readonly Secret[]> {
    const templates = [this.written[field]].flat().map(String);
    // An old secret whose variable is gone by now leaves an empty text behind.
    const read = (): readonly Secret[] =>
      templates.map((template) => this.#rendered(template)).filter((secret) => secret.reveal() !== '');
    return LiveValue.of(this.environment, namesIn(templates), read);
  }

  #rendered(template: string): Secret {
    return new Secret(render(template, this.environment));
  }
}

function namesIn(templates: readonly string[]): string[] {
  return templates.flatMap((template) => variablesIn(template).map(({ name }) => name));
}

/** The Bearer scheme belongs to `Authorization` (RFC 6750); any other header carries the bare token. */
function headerOf(shape: HeaderShape | undefined): HeaderSettings {
  const name = shape?.name ?? 'Authorization';
  return { name, scheme: shape?.scheme ?? (name.toLowerCase() === 'authorization' ? 'Bearer' : '') };
}

function originOf(address: string | undefined): string {
  return address !== undefined && URL.canParse(address) ? new URL(address).origin : '';
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '');
}
