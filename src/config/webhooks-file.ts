import { plainToInstance } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsOptional,
  IsString,
  Matches,
  validateSync,
} from 'class-validator';
import { EVENT_TYPES, type EventType } from '../shared/event-types.js';
import { Secret } from '../shared/secret.js';
import { isLoopbackHost, isPrivateAddress } from './addresses.js';
import type { Environment } from './environment.js';
import { explain } from './explain.js';
import { LiveValue } from './live-value.js';
import { ConfigurationError, Mistakes } from './mistakes.js';
import type { ProviderSurroundings } from './provider-reader.js';
import { isMistyped, mapTexts, render, variablesIn } from './template.js';
import { IsEndpoint } from './web-address.js';
import { readYaml } from './yaml-file.js';

/** Somebody who is told what happens. */
export interface WebhookReceiver {
  /** Under which its deliveries stand, also while its address changes. */
  readonly name: string;
  readonly url: string;
  /** `whsec_` and base64; what is sent is signed with each, so that one is replaced without a gap. */
  readonly secrets: readonly Secret[];
  readonly events: readonly EventType[];
  readonly allowPrivate: boolean;
}

type Surroundings = Pick<ProviderSurroundings, 'production' | 'allowInsecureHttp'>;

const MOST_RECEIVERS = 50;
/** Of a key, in bytes: what Standard Webhooks asks for. */
const SHORTEST_KEY = 24;
const LONGEST_KEY = 64;

/** One entry of `WEBHOOKS_FILE`; the names are those of the file. */
class ReceiverShape {
  @IsOptional()
  @Matches(/^[a-z0-9][a-z0-9._-]{0,62}$/, { message: 'must be 1 to 63 of a-z 0-9 . _ -' })
  name?: string;

  @IsEndpoint() url!: string;
  @IsOptional() @IsString() secret?: string;

  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(2, { message: 'must be one, or the new one and the old one' })
  @IsString({ each: true })
  secrets?: string[];

  @IsOptional()
  @IsArray()
  @ArrayMinSize(1, { message: 'must name some, or be left out for all' })
  @IsString({ each: true })
  events?: string[];

  @IsOptional() @IsBoolean() allow_private?: boolean;
}

/**
 * Reads `WEBHOOKS_FILE`, and again whenever it or a secret's file that it names has changed. Null where there is none. Throws
 * a ConfigurationError with a line per mistake.
 */
export function readWebhooks(
  environment: Environment,
  around: Surroundings,
): LiveValue<readonly WebhookReceiver[]> | null {
  const path = environment.plain('WEBHOOKS_FILE');
  if (path === undefined) return null;
  const named = new Set<string>();
  mapTexts(entriesOf(path), (text) => variablesIn(text).forEach(({ name }) => named.add(name)));
  // The file itself is behind the name that it would have without its ending.
  return LiveValue.of(environment, ['WEBHOOKS', ...named], () => readFile(path, environment, around));
}

function readFile(path: string, environment: Environment, around: Surroundings): readonly WebhookReceiver[] {
  const mistakes = new Mistakes();
  const receivers = new Map<string, WebhookReceiver>();
  entriesOf(path).forEach((written, index) => {
    const where = `${path}: receiver ${index + 1}`;
    const read = mistakes.collect(() => readReceiver(where, written, environment, around));
    if (!read) return;
    if (receivers.has(read.name)) {
      mistakes.add(`${where}: another is called "${read.name}", too: give each a name of its own`);
    }
    receivers.set(read.name, read);
  });
  mistakes.throwIfAny();
  return [...receivers.values()];
}

/** The contract says what an entry holds, and nothing of what stands around the list: it may be called either way, or stand alone. */
function entriesOf(path: string): readonly unknown[] {
  const file: unknown = readYaml('WEBHOOKS_FILE', path);
  const { webhooks, receivers = webhooks, ...rest } = file as Record<string, unknown>;
  const entries = Array.isArray(file) ? file : Object.keys(rest).length > 0 ? undefined : receivers;
  if (!Array.isArray(entries))
    throw new ConfigurationError([`${path}: must hold "webhooks:" alone, and under it a list`]);
  if (entries.length > MOST_RECEIVERS)
    throw new ConfigurationError([`${path}: must hold at most ${MOST_RECEIVERS} receivers`]);
  return entries;
}

function readReceiver(
  where: string,
  written: unknown,
  environment: Environment,
  around: Surroundings,
): WebhookReceiver {
  const wrong = (...what: string[]): ConfigurationError =>
    new ConfigurationError(what.map((each) => `${where}: ${each}`));
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    throw wrong('must be a map with a url and a secret');
  const filled = mapTexts(written, (text) => {
    if (isMistyped(text)) throw wrong('${NAME} or ${NAME:-default} is mistyped');
    for (const { name, hasDefault } of variablesIn(text))
      if (!hasDefault && environment.secret(name) === undefined) throw wrong(`${name} is not set`);
    return render(text, environment);
  });
  const shape = plainToInstance(ReceiverShape, filled);
  const faults = validateSync(shape, { whitelist: true, forbidNonWhitelisted: true }).map(explain);
  if (faults.length > 0) throw wrong(...faults);
  faults.push(
    ...faultsOfAddress(shape, around),
    ...faultsOfSecrets(shape),
    ...faultsOfEvents(shape.events ?? []),
  );
  if (faults.length > 0) throw wrong(...faults);
  return {
    name: shape.name ?? nameOf(new URL(shape.url)),
    url: shape.url,
    secrets: secretsOf(shape).map((secret) => new Secret(secret)),
    events: EVENT_TYPES.filter((type) => (shape.events ?? ['*']).some((pattern) => covers(pattern, type))),
    allowPrivate: shape.allow_private ?? false,
  };
}

/** Its host, in the letters that a name may have. */
function nameOf({ host }: URL): string {
  return host
    .replace(/[[\]]/g, '')
    .replaceAll(':', '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
}

function faultsOfAddress(
  { url, allow_private: allowPrivate }: ReceiverShape,
  around: Surroundings,
): string[] {
  const { protocol, hostname } = new URL(url);
  if (!around.production || isLoopbackHost(hostname)) return [];
  const faults: string[] = [];
  if (protocol === 'http:' && !around.allowInsecureHttp)
    faults.push(
      'url is plain http, which would show on the way whose connections there are: use https, or set ALLOW_INSECURE_HTTP=true',
    );
  if (isPrivateAddress(hostname.replace(/^\[|\]$/g, '')) && !allowPrivate)
    faults.push('url is a private address: set allow_private: true if that is meant');
  return faults;
}

function faultsOfSecrets(shape: ReceiverShape): string[] {
  const { secret, secrets } = shape;
  if (secret !== undefined && secrets !== undefined) return ['secret and secrets are both given: keep one'];
  const given = secretsOf(shape);
  if (given.length === 0)
    return ['secret must be given: make one with: echo "whsec_$(openssl rand -base64 32)"'];
  if (given.every(isKey)) return [];
  return [
    `${secret === undefined ? 'secrets' : 'secret'} must be whsec_ and base64 of ${SHORTEST_KEY} to ${LONGEST_KEY} bytes: make one with: echo "whsec_$(openssl rand -base64 32)"`,
  ];
}

function secretsOf({ secret, secrets }: ReceiverShape): string[] {
  return secrets ?? (secret === undefined ? [] : [secret]);
}

/** The prefix may be missing, as the libraries of Standard Webhooks allow. */
function isKey(text: string): boolean {
  const encoded = text.replace(/^whsec_/, '');
  const key = Buffer.from(encoded, 'base64');
  return key.toString('base64') === encoded && key.length >= SHORTEST_KEY && key.length <= LONGEST_KEY;
}

function faultsOfEvents(patterns: readonly string[]): string[] {
  return patterns
    .filter((pattern) => !EVENT_TYPES.some((type) => covers(pattern, type)))
    .map((pattern) =>
      /^[a-z_.*]{1,64}$/.test(pattern)
        ? `events: there is no ${pattern}`
        : 'events must be names of events, connection.*, provider.* or *',
    );
}

function covers(pattern: string, type: EventType): boolean {
  return (
    pattern === '*' ||
    pattern === type ||
    (/^\w+\.\*$/.test(pattern) && type.startsWith(pattern.slice(0, -1)))
  );
}
