import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { HttpService } from '@nestjs/axios';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Webhook } from 'standardwebhooks';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { WebhookReceiver } from '../config/webhooks-file.js';
import { PrivateAddressError, refusingPrivate } from '../provider/private-addresses.js';
import { readRetryAfter } from '../provider/verdict.js';
import { Clock } from '../shared/clock.js';
import type { Delivery } from './delivery.store.js';
import { judge, type Attempted, type DeliveryError } from './retry.js';

/** Milliseconds from the first look for the address to the head of the answer. */
const TIMEOUT_MS = 15_000;

/**
 * One event to one receiver, signed as Standard Webhooks has it. It follows no redirect, uses no proxy, and of the answer
 * reads the head alone: what else somebody says, or for how long, is nothing to us.
 */
@Injectable()
export class WebhookRequest implements OnApplicationShutdown {
  readonly #agents: { readonly open: Agents; readonly guarded: Agents };

  constructor(
    private readonly http: HttpService,
    private readonly clock: Clock,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {
    // Said outright, or a variable of the environment (NODE_TLS_REJECT_UNAUTHORIZED) could say otherwise.
    const believing = { rejectUnauthorized: true };
    const guarded = { lookup: refusingPrivate };
    this.#agents = {
      open: { httpAgent: new HttpAgent(), httpsAgent: new HttpsAgent(believing) },
      guarded: {
        httpAgent: new HttpAgent(guarded),
        httpsAgent: new HttpsAgent({ ...guarded, ...believing }),
      },
    };
  }

  onApplicationShutdown(): void {
    for (const { httpAgent, httpsAgent } of Object.values(this.#agents)) {
      httpAgent.destroy();
      httpsAgent.destroy();
    }
  }

  /** Undefined where `stop` came first. */
  async send(
    receiver: WebhookReceiver,
    delivery: Delivery,
    stop: AbortSignal,
  ): Promise<Attempted | undefined> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const now = this.clock.now();
    const body = bodyOf(delivery);
    const isGuarded = this.settings.production && !receiver.allowPrivate;
    try {
      const { status, headers, data } = await this.http.axiosRef.request<Readable>({
        method: 'POST',
        url: receiver.url,
        headers: {
          'content-type': 'application/json',
          'accept-encoding': 'identity',
          'user-agent': 'token-broker',
          'webhook-id': delivery.id,
          'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
          'webhook-signature': receiver.secrets
            .map((secret) => new Webhook(secret.reveal()).sign(delivery.id, now, body))
            .join(' '),
        },
        data: body,
        transformRequest: (text: string) => text,
        responseType: 'stream',
        decompress: false,
        maxRedirects: 0,
        proxy: false,
        validateStatus: () => true,
        signal: AbortSignal.any([timeout, stop]),
        ...(isGuarded ? this.#agents.guarded : this.#agents.open),
      });
      data.on('error', () => undefined).destroy();
      const retryAfter: unknown = headers['retry-after'];
      const error = judge(status);
      const retryAfterS = typeof retryAfter === 'string' ? readRetryAfter(retryAfter, now) : null;
      return { error, status, retryAfterS: error === null ? null : retryAfterS };
    } catch (error) {
      if (stop.aborted) return undefined;
      return { error: timeout.aborted ? 'timed_out' : errorOf(error), status: null, retryAfterS: null };
    }
  }
}

interface Agents {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
}

/** The same at each try, to the letter. */
export function bodyOf({ type, at, content }: Pick<Delivery, 'type' | 'at' | 'content'>): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data: content });
}

/** Nothing of what the HTTP client throws goes on: it holds the whole request. */
function errorOf(error: unknown): DeliveryError {
  const { cause, code = '' } = error as { cause?: unknown; code?: string };
  if (error instanceof PrivateAddressError || cause instanceof PrivateAddressError) return 'private_address';
  return /^(ECONNRESET|EPIPE|HPE_.*|ERR_BAD_RESPONSE|ECONNABORTED)$/.test(code)
    ? 'connection_lost'
    : 'not_reached';
}
