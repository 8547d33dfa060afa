import type { Socket } from 'node:net';
import type { KnownClient } from './client-directory.js';

const PROVEN = Symbol('proven');
/** Of one connection: a service has one key, and what stands before several of them sends theirs in turns. */
const MOST = 8;

type Marked = Socket & { [PROVEN]?: Map<string, KnownClient> };

/**
 * The client that was found by this very header on this connection before. To hash a key, and to compare that, is a quarter of
 * what the broker itself does for a read, and the same key comes with each. Whoever shares the connection (behind a proxy) could
 * learn from how long this takes, at the most, how many eights of characters are right: nobody guesses 48 random bits at once.
 */
export function provenOn(socket: Socket, authorization: string): KnownClient | undefined {
  return (socket as Marked)[PROVEN]?.get(authorization);
}

/** Keeps it for as long as the connection is open. @param client who has proven it by a key of its own */
export function keepProven(socket: Socket, authorization: string, client: KnownClient): void {
  const proven = ((socket as Marked)[PROVEN] ??= new Map<string, KnownClient>());
  if (proven.size >= MOST && !proven.has(authorization)) proven.clear();
  proven.set(authorization, client);
}
