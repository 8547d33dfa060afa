import { request as httpRequest, type Agent as HttpAgent, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest, type Agent as HttpsAgent } from 'node:https';
import type { Clock } from '../shared/clock.js';
import { PrivateAddressError } from './private-addresses.js';
import type { FailureCode } from './token-provider.js';

/** Ended by us: its time was up, or it was more than is read. */
class TimedOut extends Error {}
class TooLarge extends Error {}

/** What is sent, and how. */
export interface Sending {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly timeoutMs: number;
  readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
}

/** What came back, whatever its status. */
export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * One request to a provider and its whole answer, over an agent that uses no connection twice. It knows how far it came, which
 * tells what a failure means, and which axios does not say; that would also take more time, and leave more behind to be
 * cleared away, than all else of a renewal.
 *
 * It reads no more than `mostBytes`, of which everything counts, hints and headers too; and it ends after `timeoutMs`.
 */
export class Call {
  /** Monotonic milliseconds at which the head of the answer was there. */
  answeredAt = NaN;
  /** A connection stood in time, its certificate believed: nothing is sent before that. */
  #wasConnected = false;
  #bytes = 0;

  constructor(
    private readonly clock: Clock,
    private readonly mostBytes: number,
  ) {}

  send(sending: Sending): Promise<Received> {
    return new Promise((resolve, reject) => this.#send(sending, resolve, reject));
  }

  /** What went wrong, and whether the provider may have acted upon the request all the same. */
  explain(error: unknown): { code: FailureCode; mayHaveActed: boolean } {
    if (error instanceof PrivateAddressError) return { code: 'private_address', mayHaveActed: false };
    return { code: this.#failureOf(error), mayHaveActed: this.#wasConnected };
  }

  #send(
    { url: address, method, headers, body, timeoutMs, agents }: Sending,
    resolve: (received: Received) => void,
    reject: (error: Error) => void,
  ): void {
    const url = new URL(address);
    const isTls = url.protocol === 'https:';
    const request = (isTls ? httpsRequest : httpRequest)(url, {
      method,
      headers,
      agent: isTls ? agents.https : agents.http,
    });
    const begunAt = this.clock.monotonic();
    const timer = setTimeout(() => fail(new TimedOut()), timeoutMs);
    // Rejects by itself: a request that Node has ended already, as it does after a 101, tells nobody that it is destroyed.
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
      request.destroy();
    };
    // An answer that has begun says by itself how it ends, and what comes after it takes nothing of it back.
    request.on('error', (error) => {
      if (!this.#wasAnswered) fail(error);
    });
    request.on('socket', (socket) => {
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        // A process that was stopped meanwhile hears of this before its timer ends, and somebody else may have asked since.
        if (this.clock.monotonic() - begunAt >= timeoutMs) return fail(new TimedOut());
        this.#wasConnected = true;
        request.end(body);
      });
      socket.on('data', (chunk: Buffer) => {
        this.#bytes += chunk.length;
        if (this.#bytes > this.mostBytes) fail(new TooLarge());
      });
    });
    request.on('response', (answer) => {
      this.answeredAt = this.clock.monotonic();
      const chunks: Buffer[] = [];
      answer.on('error', fail);
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        clearTimeout(timer);
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
      });
    });
  }

  get #wasAnswered(): boolean {
    return !Number.isNaN(this.answeredAt);
  }

  #failureOf(error: unknown): FailureCode {
    const { code = '' } = error as { code?: string };
    // Node ends the head of an answer at 16 KB.
    if (error instanceof TooLarge || /^(ERR_BUFFER_TOO_LARGE|HPE_HEADER_OVERFLOW)$/.test(code))
      return 'answer_too_large';
    if (error instanceof TimedOut || code === 'ETIMEDOUT') return 'timed_out';
    if (!this.#wasConnected) return 'not_reached';
    // What began as an answer and was none, or none to the end; HPE_ stands before the codes of Node's parser.
    return this.#wasAnswered || code.startsWith('HPE_') ? 'malformed_answer' : 'connection_lost';
  }
}
