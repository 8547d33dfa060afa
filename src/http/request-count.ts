import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RequestMetrics } from '../telemetry/request-metrics.js';
import { classOf } from './caller.js';
import type { KnownRequest } from './access.js';

const FETCH = '/v1/tokens/:provider/';

/** What has no route is one series, whatever its path and method. */
const NOWHERE = { method: 'any', route: 'none' } as const;

/** Counts every request that goes through the routes, once it is about to be answered; to be called before they are made. */
export function countRequests(
  fastify: FastifyInstance,
  metrics: RequestMetrics,
  isProvider: (name: string) => boolean,
): void {
  // Not onResponse, which never comes where the caller has hung up.
  fastify.addHook('onSend', (request: KnownRequest, reply: FastifyReply, payload, done) => {
    const { method, problem, caller, subject } = request;
    const route = routeOf(request);
    const outcome = problem ?? (reply.statusCode < 400 ? 'ok' : String(reply.statusCode));
    metrics.answered(route === undefined ? NOWHERE : { method, route }, outcome, classOf(caller));
    const isFetch = method === 'GET' && route?.startsWith(FETCH) === true;
    if (isFetch && subject && isProvider(subject.provider))
      metrics.fetched(subject.provider, reply.elapsedTime);
    done(null, payload);
  });
}

function routeOf(request: FastifyRequest): string | undefined {
  return request.is404 ? undefined : request.routeOptions.url;
}
