import type { ServerResponse } from 'node:http';

interface Outgoing {
  readonly response: ServerResponse;
  readonly status: number;
  /** Names and values, one after the other: as objects they would be taken apart again. */
  readonly headers: string[];
  readonly body: string;
}

/**
 * Answers that are ready, written together once all that has arrived is worked off: whoever reads them is then woken up once
 * for many and not for each, which costs more than the work of most of them. Nobody waits for it; the turn is over at once.
 */
export class Outbox {
  #ready: Outgoing[] = [];

  put(outgoing: Outgoing): void {
    if (this.#ready.push(outgoing) === 1) setImmediate(() => this.#send());
  }

  #send(): void {
    const ready = this.#ready;
    this.#ready = [];
    for (const outgoing of ready) {
      try {
        write(outgoing);
      } catch {
        // Nobody foresaw this; the others are answered all the same.
        outgoing.response.destroy();
      }
    }
  }
}

function write({ response, status, headers, body }: Outgoing): void {
  const bytes = Buffer.byteLength(body);
  headers.push('content-length', String(bytes));
  response.writeHead(status, headers);
  // What is ASCII, as nearly every answer, need not be turned into UTF-8.
  response.end(body, bytes === body.length ? 'latin1' : 'utf8');
}
