import { AsyncLocalStorage } from 'node:async_hooks';

const fromOutside = new AsyncLocalStorage<boolean>();

/**
 * Does this, and all that follows from it, as work that somebody on the Internet has caused: it has connections to the
 * database of its own, so that it can take none from the services inside.
 */
export function inPublicLane<T>(work: () => T): T {
  return fromOutside.run(true, work);
}

/**
 * Does this as work of the broker's own, whoever happened to begin it: for what everybody shares, which must not go on as
 * slowly as its first cause may.
 */
export function outOfPublicLane<T>(work: () => T): T {
  return fromOutside.run(false, work);
}

export function isInPublicLane(): boolean {
  return fromOutside.getStore() === true;
}
