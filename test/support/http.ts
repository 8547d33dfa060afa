import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else an empty object. */
  readonly body: Json;
  readonly text: string;
}

/** One request, no redirect followed. A string is sent as it is, anything else as JSON. */
export async function ask(
  method: string,
  url: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<Answer> {
  const isText = typeof body === 'string';
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? (JSON.parse(text) as Json) : {},
    text,
  };
}

/** A port that nobody has just now. */
export async function freePort(): Promise<number> {
  for (;;) {
    // Below those that systems give to outgoing connections: one of those could take it before it is used. And above
    // 10080, the last of the ports that `fetch` refuses to ask.
    const port = 11_000 + randomInt(21_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Longer than anything that a test waits for, and shorter than a test's own time limit, after which nothing would end it. */
const PATIENCE_MS = 75_000;

/** The longest that passes between two looks, in milliseconds. */
const LOOK_MS = 20;

/** Polls until `look` gives something: at first after a moment, since most of what is waited for is nearly there. */
export async function eventually<T>(
  look: () => Promise<T | undefined | null | false> | T | undefined | null | false,
): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (let waitMs = 2; Date.now() < until; waitMs = Math.min(2 * waitMs, LOOK_MS)) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  throw new Error(`this never came true: ${String(look)}`);
}
