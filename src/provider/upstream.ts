import { lookup as dnsLookup } from 'node:dns';
import { Agent as HttpAgent, type ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import { HttpService } from '@nestjs/axios';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { AxiosRequestConfig, AxiosResponse } from 'axios';
import { isPrivateAddress } from '../config/addresses.js';
import { SETTINGS } from '../config/config.module.js';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { ProviderObservations } from './observations.js';
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

/** No token answer is nearly this long. */
const MOST_BYTES = 256 * 1024;
/** A socket that was idle for longer may be dead already, and a stale one looks like a lost answer. */
const IDLE_SOCKET_MS = 1_000;

/** Failures of which it is sure that no request left the house. */
const BEFORE_SENDING =
  /^(ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|CERT_|UNABLE_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_)/;

class PrivateAddressError extends Error {}

/**
 * The only way out to a provider. It follows no redirect, uses no proxy, reads no more than it must, takes no longer than
 * the provider's timeout in all, and never lets an HTTP client's error out: those carry the request's secrets.
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
    const options = { keepAlive: true, timeout: IDLE_SOCKET_MS };
    const guarded = { ...options, lookup: refusingPrivate };
    this.#agents = [
      new HttpAgent(options),
      new HttpsAgent(options),
      new HttpAgent(guarded),
      new HttpsAgent(guarded),
    ];
  }

  onApplicationShutdown(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  async ask(provider: SharedProviderSettings, request: UpstreamRequest): Promise<UpstreamResult> {
    const sentAt = this.clock.monotonic();
    const sentAtDate = this.clock.now();
    try {
      const response = await this.http.axiosRef.request<string>(this.#configFor(provider, request));
      const answer = read(response);
      this.#lookAtClock(provider, answer.date, sentAt, sentAtDate);
      return { kind: 'answered', ...answer, sentAt, sentAtDate };
    } catch (error) {
      return { kind: 'failed', ...explain(error) };
    } finally {
      this.metrics.providerAsked(provider.name, (this.clock.monotonic() - sentAt) / 1_000);
    }
  }

  #lookAtClock(
    { name }: SharedProviderSettings,
    date: string | undefined,
    sentAt: number,
    sentAtDate: Date,
  ): void {
    const roundTripMs = this.clock.monotonic() - sentAt;
    const skewS = this.observations.answered(name, date, sentAtDate, roundTripMs);
    if (skewS !== undefined) this.metrics.clockSkewSeen(name, skewS);
  }

  #configFor(provider: SharedProviderSettings, request: UpstreamRequest): AxiosRequestConfig<string> {
    const guarded = this.settings.production && !provider.allowPrivate;
    return {
      method: request.method,
      url: request.url,
      headers: { accept: 'application/json', 'user-agent': 'token-broker', ...request.headers },
      ...(request.body === undefined ? {} : { data: request.body }),
      httpAgent: this.#agents[guarded ? 2 : 0],
      httpsAgent: this.#agents[guarded ? 3 : 1],
      signal: AbortSignal.timeout(provider.timeoutMs),
      maxRedirects: 0,
      proxy: false,
      maxContentLength: MOST_BYTES,
      responseType: 'text',
      transformRequest: (data: unknown) => data,
      transformResponse: (data: unknown) => data,
      validateStatus: () => true,
    };
  }
}

type Read = Pick<UpstreamResult & { kind: 'answered' }, 'status' | 'json' | 'date' | 'retryAfter'>;

function read({ status, data, headers }: AxiosResponse<string>): Read {
  const header = (name: string): string | undefined => {
    const value: unknown = headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  return { status, json: parseJson(data), date: header('date'), retryAfter: header('retry-after') };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function explain(error: unknown): { code: FailureCode; mayHaveActed: boolean } {
  const { code = '', cause, request } = error as { code?: string; cause?: unknown; request?: ClientRequest };
  if (error instanceof PrivateAddressError || cause instanceof PrivateAddressError) {
    return { code: 'private_address', mayHaveActed: false };
  }
  if (BEFORE_SENDING.test(code)) return { code: 'not_reached', mayHaveActed: false };
  // A deadline that ran out while the connection was still being made.
  if (code === 'ERR_CANCELED' || code === 'ETIMEDOUT' || code === 'ECONNABORTED') {
    return { code: 'timed_out', mayHaveActed: request?.socket?.connecting !== true };
  }
  if (code === 'ERR_BAD_RESPONSE') return { code: 'malformed_answer', mayHaveActed: true };
  return { code: 'connection_lost', mayHaveActed: true };
}

/** Resolves a name and refuses it where any of its addresses is private: a name may not lead back into our network. */
export const refusingPrivate: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    if (addresses.some(({ address }) => isPrivateAddress(address))) {
      return callback(new PrivateAddressError(), '', 0);
    }
    if (options.all) return callback(null, addresses);
    const first = addresses[0];
    return callback(null, first?.address ?? '', first?.family ?? 0);
  });
};
