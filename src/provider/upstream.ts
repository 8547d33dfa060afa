import { lookup as dnsLookup } from 'node:dns';
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { HttpService } from '@nestjs/axios';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { AxiosRequestConfig } from 'axios';
import { isPrivateAddress } from '../config/addresses.js';
import { SETTINGS } from '../config/config.module.js';
import type { SharedProviderSettings } from '../config/provider-settings.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Metrics } from '../telemetry/metrics.js';
import { readJson } from './answer-body.js';
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

/** No token answer is nearly this long. Everything counts, hints and headers too, and what a packed body unpacks to. */
const MOST_BYTES = 256 * 1024;

class PrivateAddressError extends Error {}

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
    const call = new Call();
    try {
      const config = this.#configFor(provider, request, call);
      const { status, data: answer } = await this.http.axiosRef.request<IncomingMessage>(config);
      const { date, 'retry-after': retryAfter } = answer.headers;
      this.#lookAtClock(provider, date, sentAt, sentAtDate);
      const json = await readJson(answer, MOST_BYTES);
      return { kind: 'answered', status, json, date, retryAfter, sentAt, sentAtDate };
    } catch (error) {
      return { kind: 'failed', ...explain(error, call) };
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

  #configFor(
    provider: SharedProviderSettings,
    request: UpstreamRequest,
    call: Call,
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
      },
      ...(request.body === undefined ? {} : { data: request.body }),
      httpAgent: this.#agents[guarded ? 2 : 0],
      httpsAgent: this.#agents[guarded ? 3 : 1],
      signal: AbortSignal.timeout(provider.timeoutMs),
      maxRedirects: 0,
      proxy: false,
      transport: call,
      responseType: 'stream',
      decompress: false,
      transformRequest: (data: unknown) => data,
      transformResponse: (data: unknown) => data,
      validateStatus: () => true,
    };
  }
}

/** One call, as axios takes a transport. How far it came tells what an error means. */
class Call {
  /** A connection stood, its certificate believed: nothing is sent before that. */
  wasConnected = false;
  wasAnswered = false;
  #bytes = 0;

  get isTooLarge(): boolean {
    return this.#bytes > MOST_BYTES;
  }

  request(options: RequestOptions, onAnswer: (answer: IncomingMessage) => void): ClientRequest {
    const isTls = options.protocol === 'https:';
    const request = (isTls ? httpsRequest : httpRequest)(options, (answer) => {
      this.wasAnswered = true;
      onAnswer(answer);
    });
    return request.once('socket', (socket) => {
      socket.once(isTls ? 'secureConnect' : 'connect', () => (this.wasConnected = true));
      socket.on('data', (chunk: Buffer) => {
        this.#bytes += chunk.length;
        if (this.isTooLarge) request.destroy();
      });
    });
  }
}

function explain(error: unknown, call: Call): { code: FailureCode; mayHaveActed: boolean } {
  const { code = '', cause } = error as { code?: string; cause?: unknown };
  if (cause instanceof PrivateAddressError) return { code: 'private_address', mayHaveActed: false };
  return { code: failureOf(code, call), mayHaveActed: call.wasConnected };
}

function failureOf(code: string, call: Call): FailureCode {
  // Node ends the head of an answer at 16 KB.
  if (call.isTooLarge || /^(ERR_BUFFER_TOO_LARGE|HPE_HEADER_OVERFLOW)$/.test(code)) return 'answer_too_large';
  if (/^(ERR_CANCELED|ETIMEDOUT|ECONNABORTED)$/.test(code)) return 'timed_out';
  if (!call.wasConnected) return 'not_reached';
  // What began as an answer and was none, or none to the end; HPE_ stands before the codes of Node's parser.
  return call.wasAnswered || code.startsWith('HPE_') ? 'malformed_answer' : 'connection_lost';
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
