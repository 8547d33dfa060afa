import { setTimeout as sleep } from 'node:timers/promises';
import { readCredential, type Credential } from './credential.js';
import { asBrokerError, TokenBrokerError } from './token-broker-error.js';

export interface BrokerRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Below the broker's address, with a leading slash. */
  readonly path: string;
  readonly body?: unknown;
}

export interface BrokerAnswer {
  readonly body: unknown;
  /** Monotonic milliseconds right before the try that was answered. */
  readonly askedAt: number;
  /** The broker's own time, in milliseconds since 1970; ours where it does not say. */
  readonly brokerNow: number;
}

export interface RequestSettings {
  readonly url: string;
  readonly credential: Credential;
  readonly deadlineMs: number;
  readonly fetch: typeof globalThis.fetch;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const FIRST_WAIT_MS = 100;
const MOST_WAIT_MS = 2_000;

/** Asks the broker, and asks again where that may help, until the deadline. Throws a TokenBrokerError. */
export class BrokerRequests {
  readonly #base: string;

  constructor(private readonly settings: RequestSettings) {
    this.#base = settings.url.replace(/\/+$/, '');
  }

  async send(request: BrokerRequest): Promise<BrokerAnswer> {
    const until = performance.now() + this.settings.deadlineMs;
    for (let tries = 0; ; tries += 1) {
      const answer = await this.#try(request, until).catch((error: unknown) => asBrokerError(error));
      if (!(answer instanceof TokenBrokerError)) return answer;
      const wait = Math.max(answer.details.retryAfterMs ?? 0, jitter(tries));
      if (!answer.isTemporary || performance.now() + wait >= until) throw answer;
      await sleep(wait);
    }
  }

  async #try({ method, path, body }: BrokerRequest, until: number): Promise<BrokerAnswer> {
    const authorization = `Bearer ${await readCredential(this.settings.credential)}`;
    const askedAt = this.settings.now();
    const response = await this.settings.fetch(`${this.#base}${path}`, {
      method,
      headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // The key belongs to the broker, and to nobody that it might name.
      redirect: 'error',
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(until - performance.now()))),
    });
    const text = await response.text();
    if (!response.ok) throw refusalOf(response, text);
    return { body: readJson(text), askedAt, brokerNow: timeOf(response) };
  }
}

/** The parser's own words would quote what it read, which may be a token. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TokenBrokerError('broker_unreachable', 'what answered was no JSON, and so not the broker');
  }
}

/** Full jitter, so that many who failed together do not come back together. */
function jitter(tries: number): number {
  return Math.random() * Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries);
}

function timeOf({ headers }: Response): number {
  const told = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(told) ? Date.now() : told;
}

/** As the broker's problem says it; anybody else's answer, a gateway's perhaps, by its status alone. */
function refusalOf(response: Response, text: string): TokenBrokerError {
  const problem = readProblem(response, text);
  const retryAfterS = Number(response.headers.get('retry-after'));
  return new TokenBrokerError(
    textOf(problem['code']) ?? `http_${response.status}`,
    textOf(problem['detail']) ?? `the broker answered ${response.status}`,
    {
      status: response.status,
      ...optional('requestId', textOf(problem['request_id'])),
      ...optional('connectionId', textOf(problem['connection_id'])),
      ...optional('authorizeUrl', textOf(problem['authorize_url'])),
      ...(retryAfterS > 0 ? { retryAfterMs: retryAfterS * 1_000 } : {}),
    },
  );
}

function readProblem({ headers }: Response, text: string): Record<string, unknown> {
  if (!headers.get('content-type')?.includes('problem+json')) return {};
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function optional<Name extends string>(
  name: Name,
  value: string | undefined,
): { readonly [key in Name]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in Name]: string });
}
