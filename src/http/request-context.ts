import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { onBehalfOf, type RequestContext } from '../telemetry/request-context.js';

const contexts = new WeakMap<FastifyRequest, RequestContext>();

/** Has all that a request causes know whose it is; to be called before any other hook. */
export function followRequests(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: FastifyRequest, _: FastifyReply, done) => {
    const { id: requestId, method, routeOptions } = request;
    const context = { requestId, method, route: routeOptions.url ?? 'none' };
    contexts.set(request, context);
    onBehalfOf(context, done);
  });
  // Once more: the body comes from a socket, which knows nothing of it.
  fastify.addHook('preValidation', (request: FastifyRequest, _: FastifyReply, done) => {
    const context = contexts.get(request);
    if (context) onBehalfOf(context, done);
    else done();
  });
}
