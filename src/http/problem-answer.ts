import { HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../shared/problem.js';
import type { KnownRequest } from './access.js';

/** The texts for what the HTTP server refuses by itself. Its own messages may quote the request, so they stay inside. */
const SERVER_REFUSALS: Readonly<Record<number, string>> = {
  400: 'The request could not be read: check the URL, its encoding, and that the body is valid JSON.',
  404: 'There is nothing at this path.',
  405: 'There is nothing at this path for this method.',
  414: 'The URL is too long.',
  415: 'Send the body as application/json.',
  431: 'The headers are too large.',
};

/** Any error as a Problem of the closed family; what nobody foresaw becomes `internal_error`. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const status =
    error instanceof HttpException
      ? error.getStatus()
      : (error as { statusCode?: number } | null)?.statusCode;
  if (status === 413)
    return new Problem(
      'payload_too_large',
      'A body may have at most 64 KB, and 8 KB on the public listener.',
    );
  if (status === 404 || status === 405) return new Problem('not_found', SERVER_REFUSALS[status] ?? '');
  if (status !== undefined && status >= 400 && status < 500) {
    const known = SERVER_REFUSALS[status];
    return new Problem(
      'invalid_request',
      known ?? SERVER_REFUSALS[400] ?? '',
      {},
      { status: known ? status : 400 },
    );
  }
  return new Problem(
    'internal_error',
    'The broker met something unexpected; its log tells more under this request_id.',
  );
}

/** A Problem as `application/problem+json`, with the headers that belong to it. */
export function problemMessage(
  problem: Problem,
  requestId: string,
): { readonly headers: Record<string, string>; readonly body: string } {
  const { retry_after: retryAfter } = problem.extensions;
  const headers = {
    'cache-control': 'no-store',
    'x-request-id': requestId,
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    ...(problem.code === 'unauthenticated' && { 'www-authenticate': 'Bearer realm="token-broker"' }),
    ...problem.headers,
    'content-type': 'application/problem+json; charset=utf-8',
  };
  return { headers, body: JSON.stringify(problem.toBody(requestId)) };
}

export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
  (request as KnownRequest).problem = problem.code;
  const { headers, body } = problemMessage(problem, request.id);
  void reply.headers(headers).status(problem.status).send(body);
}
