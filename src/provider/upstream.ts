import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { currentSpan, type Span } from '../telemetry/span.js';
import { readJson } from './answer-body.js';
import { Call, type Sending } from './call.js';
import { ProviderObservations } from './observations.js';
import { refusingPrivate } from './private-addresses.js';
import type { FailureCode } from './token-provider.js';

/** A request to a token endpoint. The body is sent as given; a secret may stand in any part of it. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What came of it. `json` is undefined where the body is not JSON. Times are those right before sending. */
export type UpstreamResult =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly json: unknown;
      readonly date: string | undefined;
      readonly retryAfter: string | undefined;
      readonly sentAt: number;
      readonly sentAtDate: Date;
    }
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly mayHaveActed: boolean };

/** No token answer is nearly this long. Everything counts, hints and headers too, and what a packed body unpacks to. */
const MOST_BYTES = 256 * 1024;

/**
 * The only way out to a provider. It follows no redirect, uses no proxy, reads no more than it must, takes no longer than
 * the provider's timeout in all, and never lets an HTTP client's error out: those carry the request's secrets.
 *
 * No connection is used twice. What a provider sends too much of would be read as the answer to the next request, and so
 * one company be given the token of another; and a connection that is dead already would look like a lost answer.
 */
@Injectable()
export class Upstream implements OnApplicationShutdown {
  readonly #agents: Sending['agents'];
  /** Of providers that may not be at a private address. */
  readonly #guarded: Sending['agents'];

  constructor(
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly observations: ProviderObservations,
  ) {
    const guarded = { lookup: refusingPrivate };
    // Said outright, or a variable of the environment (NODE_TLS_REJECT_UNAUTHORIZED) could say otherwise.
    const believing = { rejectUnauthorized: true };
    this.#agents = { http: new HttpAgent(), https: new HttpsAgent(believing) };
    this.#guarded = { http: new HttpAgent(guarded), https: new HttpsAgent({ ...guarded, ...believing }) };
  }

  onApplicationShutdown(): void {
    for (const { http, https } of [this.#agents, this.#guarded]) {
      http.destroy();
      https.destroy();
    }
  }

  async ask(provider: SharedProviderSettings, request: UpstreamRequest): Promise<UpstreamResult> {
    const sentAt = this.clock.monotonic();
    const sentAtDate = this.clock.now();
    const call = new Call(this.clock, MOST_BYTES);
    const span = currentSpan()?.child(`${request.method} ${provider.name}`, 'client', {
      'http.request.method': request.method,
      'server.address': new URL(request.url).hostname,
      'token_broker.provider': provider.name,
    });
    try {
      const { status, headers, body } = await call.send(this.#sendingOf(provider, request, span));
      const { date, 'retry-after': retryAfter, 'content-encoding': encoding } = headers;
      span?.note({ 'http.response.status_code': status });
      this.#lookAtClock(provider.name, date, sentAtDate, call.answeredAt - sentAt);
      const json = await readJson(body, encoding, MOST_BYTES);
      return { kind: 'answered', status, json, date, retryAfter, sentAt, sentAtDate };
    } catch (error) {
      const failure = call.explain(error);
      span?.fail(failure.code);
      return { kind: 'failed', ...failure };
    } finally {
      span?.end();
      this.metrics.providerAsked(provider.name, (this.clock.monotonic() - sentAt) / 1_000);
    }
  }

  #lookAtClock(name: string, date: string | undefined, sentAtDate: Date, roundTripMs: number): void {
    const skewS = this.observations.answered(name, date, sentAtDate, roundTripMs);
    if (skewS !== undefined) this.metrics.clockSkewSeen(name, skewS);
  }

  #sendingOf(provider: SharedProviderSettings, request: UpstreamRequest, span: Span | undefined): Sending {
    return {
      method: request.method,
      url: request.url,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'token-broker',
        ...(request.method === 'POST' && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...request.headers,
        ...(span ? { traceparent: span.traceparent } : {}),
      },
      body: request.body,
      timeoutMs: provider.timeoutMs,
      agents: this.settings.production && !provider.allowPrivate ? this.#guarded : this.#agents,
    };
  }
}
