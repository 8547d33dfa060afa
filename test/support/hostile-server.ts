import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** What a hostile server does with one request: anything, at any time, to the bare socket. */
export type Act = (socket: Socket, request: string) => void | Promise<void>;

/** A server that speaks no HTTP of its own: every byte of an answer is the test's. */
export class HostileServer {
  /** Requests as they came, head and body. */
  readonly requests: string[] = [];
  readonly sockets: Socket[] = [];
  /** Bytes that came; over TLS those that were deciphered. */
  received = 0;
  act: Act = () => undefined;
  readonly #server: Server;

  constructor(private readonly tls?: TlsOptions) {
    const serve = (socket: Socket): void => this.#serve(socket);
    this.#server = tls ? createTlsServer(tls, serve) : createServer(serve);
    this.#server.on('tlsClientError', () => undefined);
  }

  async open(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get isTls(): boolean {
    return this.tls !== undefined;
  }

  get url(): string {
    return `http${this.isTls ? 's' : ''}://127.0.0.1:${this.port}`;
  }

  #serve(socket: Socket): void {
    this.sockets.push(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      text += chunk.toString('latin1');
      const [head = '', body] = split(text);
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
      if (body === undefined || body.length < length) return;
      this.requests.push(text);
      const request = text;
      text = '';
      void this.act(socket, request);
    });
  }
}

function split(text: string): [string, string?] {
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? [text] : [text.slice(0, end), text.slice(end + 4)];
}

/** An answer as bytes, with its length, and whatever else its head is to say. */
export function answer(status: number, body: string | Buffer, head: Record<string, string> = {}): Buffer {
  const bytes = Buffer.from(body);
  const all = { 'content-type': 'application/json', 'content-length': String(bytes.length), ...head };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Said So\r\n${lines.join('')}\r\n`), bytes]);
}

/** Sends these bytes, or those that are made for each request, and nothing after them. */
export function says(bytes: string | Buffer | (() => string | Buffer)): Act {
  return (socket) => void socket.write(typeof bytes === 'function' ? bytes() : bytes);
}

/** Sends these bytes and closes: in order, or by a reset. */
export function saysAndLeaves(bytes: string | Buffer, leave: 'end' | 'resetAndDestroy' = 'end'): Act {
  return async (socket) => {
    await new Promise((done) => socket.write(bytes, done));
    socket[leave]();
  };
}

/** Sends `first` and then `next` over and over, as fast as it is taken or every `pauseMs`, until nobody listens. */
export function saysForEver(first: string, next: string | Buffer, pauseMs = 0): Act {
  return async (socket) => {
    const isOver = new Promise((resolve) => socket.once('close', resolve));
    socket.write(first);
    while (!socket.destroyed) {
      const isTaken = socket.write(next);
      const goOn = new Promise((resolve) => {
        if (pauseMs > 0) setTimeout(resolve, pauseMs);
        else if (isTaken) setImmediate(resolve);
        else socket.once('drain', resolve);
      });
      await Promise.race([goOn, isOver]);
    }
  };
}
