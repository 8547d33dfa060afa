import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip, gzipSync } from 'node:zlib';
import type { FastifyReply } from 'fastify';
import type { Answer } from './answer.js';
import type { Fault } from './faults.js';

/** The parts of a fault that leave an answer as it is and make its way to the caller a hard one. */
export type Hardships = Pick<Fault, 'drip_ms' | 'gzip' | 'huge' | 'header_bomb' | 'half_closed' | 'rst'>;

const MEGABYTE = 1024 * 1024;

/** Sends an answer, whole or in the ways that a fault asks for. Resolves when the last byte has been handed on. */
export async function send(reply: FastifyReply, answer: Answer, hardships: Hardships = {}): Promise<void> {
  const { drip_ms, gzip, huge, half_closed } = hardships;
  const headers = { ...answer.headers, ...headersOf(hardships) };
  if (huge !== undefined) {
    const body = Readable.from(padded(answer.body, huge));
    void reply
      .code(answer.status)
      .headers(headers)
      .send(gzip ? body.pipe(createGzip()) : body);
    return;
  }
  const body = gzip ? gzipSync(answer.body) : answer.body;
  if (!answer.truncated && !half_closed && drip_ms === undefined) {
    void reply.code(answer.status).headers(headers).send(body);
    return;
  }
  await sendByHand(reply, { ...answer, headers }, Buffer.from(body), hardships);
}

/** Closes the connection without an answer. */
export function hangUp(reply: FastifyReply, { rst }: Hardships = {}): void {
  reply.hijack();
  close(reply.raw, rst);
}

/** An orderly end (FIN), or none (RST). */
function close(response: ServerResponse, isAbrupt = false): void {
  if (isAbrupt) response.socket?.resetAndDestroy();
  else response.destroy();
}

function headersOf({ gzip, header_bomb = 0 }: Hardships): Record<string, string> {
  const padding = Array.from({ length: header_bomb }, (_, kilobyte) => [
    `x-simulated-padding-${kilobyte}`,
    'x'.repeat(1000),
  ]);
  return {
    ...(Object.fromEntries(padding) as Record<string, string>),
    ...(gzip && { 'content-encoding': 'gzip' }),
  };
}

/** White space at the end leaves JSON what it is: a reader without a limit of its own finds nothing wrong. */
function* padded(body: string, megabytes: number): Generator<Buffer> {
  yield Buffer.from(body);
  const spaces = Buffer.alloc(MEGABYTE, ' ');
  for (let sent = 0; sent < megabytes; sent += 1) yield spaces;
}

async function sendByHand(
  reply: FastifyReply,
  { status, headers, truncated = false }: Answer,
  bytes: Buffer,
  { drip_ms, half_closed = false, rst }: Hardships,
): Promise<void> {
  reply.hijack();
  reply.raw.writeHead(status, { ...headers, 'content-length': bytes.length });
  const kept = truncated || half_closed ? bytes.subarray(0, bytes.length >> 1) : bytes;
  const size = drip_ms === undefined ? kept.length : 1;
  for (let sent = 0; sent < kept.length; sent += size) {
    if (reply.raw.destroyed) return;
    await new Promise((resolve) => reply.raw.write(kept.subarray(sent, sent + size), resolve));
    await sleep(drip_ms ?? 0, undefined, { ref: false });
  }
  // Only this side is closed: whatever the caller still sends is read, until it closes too.
  if (half_closed) reply.raw.socket?.end();
  else if (truncated) close(reply.raw, rst);
  else reply.raw.end();
}
