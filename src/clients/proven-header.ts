import type { Socket } from 'node:net';
import type { KnownClient } from './client-directory.js';

const PROVEN = Symbol('proven');

/** A header that somebody proved to be a client with. */
interface Proven {
  readonly authorization: string;
  readonly client: KnownClient;
}

type Marked = Socket & { [PROVEN]?: Proven };

/**
 * The client of a connection's last header, where this is the same one; undefined where it is not. To hash a key, and to
 * compare that, is a fifth of what a read takes, and a service sends the same key with each. Where several share a connection
 * (behind a proxy), texts are compared in steps of eight characters of a random key: nobody guesses so many to be told apart.
 */
export function provenOn(socket: Socket, authorization: string): KnownClient | undefined {
  const proven = (socket as Marked)[PROVEN];
  return proven?.authorization === authorization ? proven.client : undefined;
}

/** Keeps it for as long as the connection is open; as Node does of each, with the last request. */
export function keepProven(socket: Socket, authorization: string, client: KnownClient): void {
  (socket as Marked)[PROVEN] = { authorization, client };
}
