import type { Socket } from 'node:net';
import type { KnownClient } from './client-directory.js';

const PROVEN = Symbol('proven');
/** Of one connection: a service has one key, and what stands before several of them sends theirs in turns. */
const MOST = 8;

type Marked = Socket & { [PROVEN]?: Map<string, KnownClient> };

/**
 * The client that was found by this very header on this connection before. To hash a key, and to compare that, is a fifth of
 * what a read takes, and the same key comes with each. Whoever shares the connection learns nothing from how long this takes: it
 * compares hashes of V8's first, which nobody can foretell.
 */
export function provenOn(socket: Socket, authorization: string): KnownClient | undefined {
  return (socket as Marked)[PROVEN]?.get(authorization);
}

/** Keeps it for as long as the connection is open. */
export function keepProven(socket: Socket, authorization: string, client: KnownClient): void {
  const proven = ((socket as Marked)[PROVEN] ??= new Map<string, KnownClient>());
  if (proven.size >= MOST) proven.clear();
  proven.set(authorization, client);
}
