import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { Json } from './http.js';

/** An event as it was told: what it says, and by which of the secrets it can be believed. */
export interface Told {
  readonly id: string;
  readonly type: string;
  readonly timestamp: string;
  readonly data: Json;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
  readonly believedBy: readonly string[];
  /** The path that it came to. */
  readonly path: string;
}

/** What a receiver answers; undefined: nothing, for ever. */
export type Answering = (told: Told, response: ServerResponse) => number | undefined;

/** `whsec_` and base64, which holds the mark that leaks are found by. */
export function aWebhookSecret(): string {
  return `whsec_${Buffer.from(`test-secret-${randomBytes(15).toString('hex')}`).toString('base64')}`;
}

/** Somebody who is told events over HTTP, and believes them as the library of Standard Webhooks does. */
export class WebhookReceiver {
  readonly told: Told[] = [];
  answer: Answering = () => 204;
  readonly #server: Server;

  private constructor(
    private readonly now: () => Date,
    readonly secrets: string[],
  ) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const told = this.#read(Buffer.concat(chunks).toString(), request.headers, request.url ?? '');
        this.told.push(told);
        const status = this.answer(told, response);
        if (status !== undefined) response.writeHead(status).end();
      });
    });
  }

  /** @param now what it takes for the time, which tells an old message from a new one */
  static async start(now: () => Date, secrets = [aWebhookSecret()], port = 0): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(now, secrets);
    await new Promise<void>((resolve) => receiver.#server.listen(port, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/events`;
  }

  get types(): string[] {
    return this.told.map(({ type }) => type);
  }

  /** Those of one connection or provider, in the order in which they came. */
  about(subject: unknown): Told[] {
    return this.told.filter(({ data }) => data['connection_id'] === subject || data['provider'] === subject);
  }

  /** Ends whatever hangs. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #read(text: string, headers: IncomingHttpHeaders, path: string): Told {
    const believedBy = this.secrets.filter((secret) => this.#believes(secret, text, headers));
    const { type, timestamp, data } = JSON.parse(text) as Pick<Told, 'type' | 'timestamp' | 'data'>;
    return { id: String(headers['webhook-id']), type, timestamp, data, text, headers, believedBy, path };
  }

  /** The library goes by the process's own clock, and tests move time. */
  #believes(secret: string, text: string, headers: IncomingHttpHeaders): boolean {
    const ownNow = Date.now;
    const now = this.now().getTime();
    Date.now = () => now;
    try {
      new Webhook(secret).verify(text, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    } finally {
      Date.now = ownNow;
    }
  }
}

/** A `WEBHOOKS_FILE` that names these. */
export function webhooksFile(...receivers: readonly Json[]): string {
  return JSON.stringify({ webhooks: receivers });
}
