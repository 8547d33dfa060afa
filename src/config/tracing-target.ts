import { Secret } from '../shared/secret.js';
import type { Environment } from './environment.js';
import { ConfigurationError } from './mistakes.js';
import type { Variables } from './variables.js';

/** Where traces go, and how many: by the names that OpenTelemetry has for it. */
export interface TracingTarget {
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly headers: ReadonlyMap<string, Secret>;
  readonly serviceName: string;
  /** The part of traces that are recorded, 0 to 1. */
  readonly share: number;
}

/** Null where no endpoint is named. */
export function readTracing(environment: Environment, variables: Variables): TracingTarget | null {
  const headers = headersOf(environment.secret('OTEL_EXPORTER_OTLP_HEADERS') ?? '');
  const endpoint = variables.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/+$/, '');
  if (endpoint === undefined) return null;
  return {
    endpoint,
    headers,
    serviceName: variables.OTEL_SERVICE_NAME,
    share: Number(variables.OTEL_TRACES_SAMPLER_ARG),
  };
}

/** As OpenTelemetry writes them: `name=value,other=value`, with `%20` for what may not stand there. */
function headersOf(text: string): Map<string, Secret> {
  const headers = new Map<string, Secret>();
  for (const part of text.split(',').map((it) => it.trim())) {
    if (part === '') continue;
    const [, name = '', value = ''] = /^([\w-]+)\s*=\s*([\x21-\x7e ]*)$/.exec(part) ?? [];
    if (name === '')
      throw new ConfigurationError([
        'OTEL_EXPORTER_OTLP_HEADERS must be headers with their values: name=value, separated by commas',
      ]);
    try {
      headers.set(name, new Secret(decodeURIComponent(value)));
    } catch {
      throw new ConfigurationError([`OTEL_EXPORTER_OTLP_HEADERS: the value of ${name} has a broken %`]);
    }
  }
  return headers;
}
