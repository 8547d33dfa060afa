import { AsyncLocalStorage } from 'node:async_hooks';

/** The request on whose behalf something is done, as log lines may name it. */
export interface RequestContext {
  readonly requestId: string;
  readonly method: string;
  /** The template of its route, in which ids have names: a URL may hold what does not belong into a log. */
  readonly route: string;
}

const requests = new AsyncLocalStorage<RequestContext>();

/** Does this, and all that follows from it, on behalf of a request; also a renewal that goes on after its caller has hung up. */
export function onBehalfOf<T>(request: RequestContext, work: () => T): T {
  return requests.run(request, work);
}

/** Undefined for what the broker does by itself. */
export function currentRequest(): RequestContext | undefined {
  return requests.getStore();
}
