import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { notesOf } from './access.js';
import { requestIdOf } from './request-id.js';
import { asProblem, sendProblem } from './problem-answer.js';

const BODY_LIMIT_BYTES = 64 * 1024;
/** Longer than any id may be, so that a long one is told apart from a path that does not exist. */
const MAX_PARAM_LENGTH = 1_000;

/** Fastify under Nest, with the limits of the contract. It does not listen by itself: see listeners.ts. */
export function createAdapter(trustedProxies: readonly string[]): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    genReqId: requestIdOf,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(asProblem(error), request, reply),
  });
  readJsonOnly(adapter.getInstance());
  return adapter;
}

interface RawRequest extends FastifyRequest {
  rawBody?: string;
}

/** The JSON of a request as it came, for whoever has to check a signature over it; undefined where none came. */
export function rawBodyOf(request: FastifyRequest): string | undefined {
  return (request as RawRequest).rawBody;
}

/** Fastify would take a plain text, too; and it would refuse the empty JSON that many clients send with a POST. */
function readJsonOnly(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeContentTypeParser(['application/json', 'text/plain']);
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    (request as RawRequest).rawBody = body as string;
    if (body === '') return done(null, undefined);
    const { readsAnything } = notesOf(request);
    void parse(request, body as string, (error, json) =>
      error && readsAnything ? done(null, undefined) : done(error, json),
    );
  });
}

/** Answers what is no HTTP request at all, before there is anything that could route it. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const problem = asProblem({ statusCode: tooLarge ? 431 : 400 });
  const body = JSON.stringify(problem.toBody(requestIdOf({ headers: {} })));
  socket.end(
    `HTTP/1.1 ${problem.status} ${tooLarge ? 'Request Header Fields Too Large' : 'Bad Request'}\r\n` +
      'Content-Type: application/problem+json; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close\r\n' +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
