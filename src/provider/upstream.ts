import { Agent as HttpAgent, type IncomingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { HttpService } from '@nestjs/axios';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { AxiosRequestConfig } from 'axios';
import { SETTINGS } from '../config/config.module.js';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { currentSpan, type Span } from '../telemetry/span.js';
import { readJson } from './answer-body.js';
import { Call } from './call.js';
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

const asItIs = <T>(data: T): T => data;

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
  readonly #agents: readonly [HttpAgent, HttpsAgent, HttpAgent, HttpsAgent];

  constructor(
    private readonly http: HttpService,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly observations: ProviderObservations,
  ) {
    const guarded = { lookup: refusingPrivate };
    // Said outright, or a variable of the environment (NODE_TLS_REJECT_UNAUTHORIZED) could say otherwise.
    const believing = { rejectUnauthorized: true };
    this.#agents = [
      new HttpAgent(),
      new HttpsAgent(believing),
      new HttpAgent(guarded),
      new HttpsAgent({ ...guarded, ...believing }),
    ];
  }

  onApplicationShutdown(): void {
    for (const agent of this.#agents) agent.destroy();
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
      const config = this.#configFor(provider, request, call, span);
      const { status, headers, data } = await this.http.axiosRef.request<Buffer>(config);
      const {
        date,
        'retry-after': retryAfter,
        'content-encoding': encoding,
      } = headers as IncomingHttpHeaders;
      span?.note({ 'http.response.status_code': status });
      this.#lookAtClock(provider.name, date, sentAtDate, call.answeredAt - sentAt);
      const json = await readJson(data, encoding, MOST_BYTES);
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

  #configFor(
    provider: SharedProviderSettings,
    request: UpstreamRequest,
    call: Call,
    span: Span | undefined,
  ): AxiosRequestConfig<string> {
    const guarded = this.settings.production && !provider.allowPrivate;
    return {
      method: request.method,
      url: request.url,
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': 'token-broker',
        ...request.headers,
        ...(span ? { traceparent: span.traceparent } : {}),
      },
      ...(request.body === undefined ? {} : { data: request.body }),
      httpAgent: this.#agents[guarded ? 2 : 0],
      httpsAgent: this.#agents[guarded ? 3 : 1],
      adapter: call.adapter,
      timeout: provider.timeoutMs,
      transformRequest: asItIs,
      transformResponse: asItIs,
    };
  }
}
