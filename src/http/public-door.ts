import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { inPublicLane } from '../shared/lane.js';
import { Problem } from '../shared/problem.js';
import { isBrowserRoute } from './listeners.js';
import { page, PAGE_HEADERS } from './page.js';

/** A state, a code and some ids; a program's hint has fewer. */
const BODY_LIMIT_BYTES = 8 * 1024;
/** Requests that are worked on at once. Most of their time they wait for a provider, which has a pace of its own. */
export const MOST_IN_FLIGHT = 64;
const RETRY_AFTER_S = 5;

const BUSY = 'Too many requests are being answered here just now; send this one again in a few seconds.';
const BUSY_PAGE = page(
  'Too many people are connecting just now',
  'Load this page again in a few seconds.',
  null,
);

/**
 * What a request from the Internet may cost: its body is small, only so many are worked on at once, and what they ask of
 * the database takes no connection from the services inside. Put before the routes are made, it adds nothing to any other.
 *
 * @param tellRefused is called for each request that was one too many
 */
export function guardPublicDoor(fastify: FastifyInstance, tellRefused: () => void): void {
  const inFlight = new Set<FastifyRequest>();
  // Not before the body is there: who sends it slowly would hold a place, and is cut off by the listener's time limit.
  const admit = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    if (inFlight.size >= MOST_IN_FLIGHT) {
      tellRefused();
      return refuse(request, reply, done);
    }
    inFlight.add(request);
    inPublicLane(done);
  };
  // When its work is done, and not when it is hung up: who hangs up has caused the same work.
  const release = (request: FastifyRequest, _: FastifyReply, payload: unknown, done: Done): void => {
    inFlight.delete(request);
    done(null, payload);
  };
  fastify.addHook('onRoute', (route: RouteOptions) => {
    if (!isBrowserRoute(route.url)) return;
    route.bodyLimit = BODY_LIMIT_BYTES;
    route.preValidation = [admit, ...listed(route.preValidation)];
    route.onSend = [release, ...listed(route.onSend)];
  });
}

type Done = (error: null, payload: unknown) => void;

/** As cheap as an answer can be: a page that was made before, or a few words. */
function refuse({ headers }: FastifyRequest, reply: FastifyReply, done: (error: Error) => void): void {
  if (!/\btext\/html\b/.test(headers.accept ?? ''))
    return done(new Problem('overloaded', BUSY, { retry_after: RETRY_AFTER_S }));
  void reply.status(503).headers(PAGE_HEADERS).header('retry-after', String(RETRY_AFTER_S)).send(BUSY_PAGE);
}

function listed<T>(hooks: T | T[] | undefined): T[] {
  return hooks === undefined ? [] : ([hooks].flat() as T[]);
}
