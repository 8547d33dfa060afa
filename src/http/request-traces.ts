import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { inSpan, type Span, type SpanNotes } from '../telemetry/span.js';
import type { Tracing } from '../telemetry/tracing.js';
import type { KnownRequest } from './access.js';
import { classOf } from './caller.js';
import { requestIdOf } from './request-id.js';
import { isBrowserRoute, type ShortWay } from './listeners.js';

const spans = new WeakMap<FastifyRequest, Span>();

/** A span for each request that goes through the routes; to be called before any other hook, where anything is traced at all. */
export function traceRequests(fastify: FastifyInstance, tracing: Tracing): void {
  fastify.addHook('onRequest', (request: FastifyRequest, _: FastifyReply, done) => {
    const { method, id, headers, routeOptions } = request;
    const route = routeOptions.url ?? 'none';
    const notes = notesOf(method, route, id);
    // Nobody on the Internet decides what is recorded here.
    const from = isBrowserRoute(route) ? undefined : headers;
    const span = tracing.received(`${method} ${route}`, notes, from);
    if (!span) return done();
    spans.set(request, span);
    inSpan(span, done);
  });
  // Once more: the body comes from a socket, which knows nothing of it.
  fastify.addHook('preValidation', (request: FastifyRequest, _: FastifyReply, done) => {
    const span = spans.get(request);
    if (span) inSpan(span, done);
    else done();
  });
  // Not onResponse, which never comes where the caller has hung up.
  fastify.addHook('onSend', (request: KnownRequest, reply: FastifyReply, payload, done) => {
    const span = spans.get(request);
    span?.note({
      'http.response.status_code': reply.statusCode,
      'token_broker.caller': classOf(request.caller),
    });
    if (request.problem) span?.note({ 'token_broker.outcome': request.problem });
    if (reply.statusCode >= 500) span?.fail(request.problem ?? String(reply.statusCode));
    span?.end();
    done(null, payload);
  });
}

/** The short way, with a span for each request that it answers itself. */
export function traceShortWay(
  short: ShortWay,
  routeOf: (path: string) => string,
  tracing: Tracing,
): ShortWay {
  return (request, response, goTheLongWay) => {
    const begunAt = Date.now();
    // Made here where the caller has none, so that span and answer name the same.
    const id = (request.headers['x-request-id'] = requestIdOf(request));
    let isLong = false;
    short(request, response, () => {
      isLong = true;
      goTheLongWay();
    });
    if (isLong) return;
    response.once('close', () => {
      if (isLong) return;
      const { method = '', url = '', headers } = request;
      const route = routeOf(url);
      const notes = notesOf(method, route, id);
      const span = tracing.received(`${method} ${route}`, notes, headers, begunAt);
      span?.note({ 'http.response.status_code': response.statusCode });
      if (response.statusCode >= 500) span?.fail(String(response.statusCode));
      span?.end();
    });
  };
}

function notesOf(method: string, route: string, requestId: string): SpanNotes {
  return { 'http.request.method': method, 'http.route': route, 'token_broker.request_id': requestId };
}
