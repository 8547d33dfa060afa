import { connect, type Socket } from 'node:net';
import { readAnswer } from './answer.js';

/** More than an answer needs; only a longer one is put together from parts. */
const BUFFER_BYTES = 64 * 1024;

/** What a caller sends next, and what becomes of the answers. */
export interface Conversation {
  /** The next request; undefined where there is no more. */
  readonly next: () => string | undefined;
  /** Called once for each answer. @param bytes the whole of it, until the call returns. @returns milliseconds to wait */
  readonly answered: (status: number, sentAt: number, bytes: Buffer) => number;
}

/** One connection, one request after the other. A socket and no client of HTTP: that would need more than most servers do. */
export class Caller {
  #socket: Socket | undefined;
  #sentAt = 0;
  #received: Buffer | undefined;

  constructor(
    private readonly url: URL,
    private readonly conversation: Conversation,
  ) {}

  /** Resolves when there is no more to send. Throws where the connection breaks; what cannot be read ends the program. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.url;
      this.#socket = connect({
        host: hostname,
        port: Number(port),
        noDelay: true,
        onread: {
          // One for all answers: none is made for each.
          buffer: Buffer.allocUnsafe(BUFFER_BYTES),
          callback: (count, buffer) => {
            this.#receive((buffer as Buffer).subarray(0, count));
            return true;
          },
        },
      });
      this.#socket.on('connect', () => this.#send());
      this.#socket.on('error', reject);
      this.#socket.on('close', () => {
        if (this.#socket?.writableEnded) resolve();
        else reject(new Error('a connection was closed'));
      });
    });
  }

  #send(): void {
    const request = this.conversation.next();
    this.#sentAt = performance.now();
    if (request === undefined) this.#socket?.end();
    else this.#socket?.write(request, 'latin1');
  }

  #receive(bytes: Buffer): void {
    const received = this.#received ? Buffer.concat([this.#received, bytes]) : bytes;
    const answer = readAnswer(received);
    if (!answer) {
      this.#received = Buffer.from(received);
      return;
    }
    if (answer.length !== received.length) throw new Error('an answer was longer than it said');
    this.#received = undefined;
    const waitMs = this.conversation.answered(answer.status, this.#sentAt, received);
    if (waitMs < 1) this.#send();
    else setTimeout(() => this.#send(), waitMs);
  }
}
