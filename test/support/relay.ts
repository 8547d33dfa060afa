import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a relay does with a call instead of letting it pass; nothing: it passes. */
type Stance = (call: string, authorization: string) => 'cut' | number | Promise<number | void> | undefined;

/** Stands between a broker and the simulator: counts the calls that pass, and can cut them off, answer or hold them up. */
export class Relay {
  /** Method and path of every call, in the order in which they came. */
  readonly calls: string[] = [];
  /** The headers of each. */
  readonly heads: IncomingHttpHeaders[] = [];
  /** `cut` ends the call, a number is its answer; a promise holds up an answer that was given, or resolves to another. */
  stance: Stance = () => undefined;
  readonly #server: Server = createServer((request, response) => void this.#take(request, response));

  /** @param target where a call goes on to */
  constructor(private readonly target: (call: string, authorization: string) => string | Promise<string>) {}

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Lets everything pass, and forgets what has. */
  reset(): void {
    this.calls.length = 0;
    this.heads.length = 0;
    this.stance = () => undefined;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = `${method} ${url}`;
    this.calls.push(call);
    this.heads.push(headers);
    const { authorization = '' } = headers;
    const stance = this.stance(call, authorization);
    if (stance === 'cut') return void response.destroy();
    if (typeof stance === 'number') {
      return void response.writeHead(stance, { 'content-type': 'application/json' }).end('{}');
    }
    const passed = ['authorization', 'content-type', 'cookie', 'accept'] as const;
    const answer = await fetch(`${await this.target(call, authorization)}${url}`, {
      method,
      redirect: 'manual',
      headers: Object.fromEntries(
        passed.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])),
      ),
      ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
    });
    const body = await answer.text();
    const instead = await stance;
    for (const name of ['content-type', 'location', 'date']) {
      const value = answer.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(instead ?? answer.status).end(body);
  }
}
