import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../shared/problem.js';
import { refuseBrokenRequest } from './adapter.js';

/** Which door a request came through. */
export type Listener = 'internal' | 'public' | 'ops';

/** What the listeners need to be told; a port is null where it is off. */
export interface ListenerSettings {
  readonly host: string;
  readonly port: number | null;
  readonly publicPort: number | null;
  readonly opsPort: number | null;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
}

/** A port that could not be opened; the message says which and why, in one line. */
export class ListenError extends Error {
  override name = 'ListenError';
}

const CERTIFICATE_LOOK_MS = 1_000;
/** A caller gets this long for its headers, and for all of its request; an idle connection is kept for a minute. */
const TIMES_MS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 } as const;
const doors = new WeakMap<IncomingMessage, Listener>();

/** Refuses what belongs behind another door, before anything else is done for it. Judged by the route, not the URL. */
export function guardDoors(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    void reply.header('x-request-id', request.id).header('cache-control', 'no-store');
    const door = doors.get(request.raw) ?? 'internal';
    const route = request.routeOptions.url;
    // Without a route, only the internal door has more to say: whether the caller has a key.
    const doorways = route === undefined ? ['internal'] : doorsOf(route);
    if (!doorways.includes(door)) return done(nothingHere());
    done(isWhole(request) ? undefined : new Problem('invalid_request', 'Send one Host, and no Expect.'));
  });
}

/** What Node would refuse with an empty page is refused here, as a problem. */
function isWhole({ headers, raw }: FastifyRequest): boolean {
  const { host, expect } = headers;
  return (host !== undefined || raw.httpVersion === '1.0') && (!expect || /^100-continue$/i.test(expect));
}

function doorsOf(route: string): readonly Listener[] {
  if (/^\/(fp|oauth)\//.test(route)) return ['public'];
  return /^\/(health\/|metrics$)/.test(route) ? ['internal', 'ops'] : ['internal'];
}

function nothingHere(): Problem {
  return new Problem('not_found', 'There is nothing at this path.');
}

/** The open ports of the broker: one Fastify behind up to three servers. */
export class Listeners {
  readonly #servers = new Map<Listener, Server | TlsServer>();
  #watched: readonly string[] = [];
  #leaving = false;

  /** Opens every port that is on. Throws a ListenError where one cannot be. */
  async open(fastify: FastifyInstance, settings: ListenerSettings): Promise<void> {
    await fastify.ready();
    const wanted: [Listener, number | null, string][] = [
      ['internal', settings.port, 'PORT'],
      ['public', settings.publicPort, 'PUBLIC_PORT'],
      ['ops', settings.opsPort, 'OPS_PORT'],
    ];
    for (const [listener, port, variable] of wanted) {
      if (port === null) continue;
      const serve: RequestListener = (request, response) => {
        doors.set(request, listener);
        if (this.#leaving) response.setHeader('connection', 'close');
        fastify.routing(request, response);
      };
      const server =
        listener === 'internal' && settings.tls
          ? this.#createTls(serve, settings.tls)
          : createServer({ ...TIMES_MS, requireHostHeader: false }, serve);
      server.on('clientError', refuseBrokenRequest);
      server.on('checkExpectation', serve);
      server.on('connect', (_, socket: Socket) => refuseBrokenRequest(new Error('no proxy'), socket));
      await listen(server, settings.host, port, variable);
      this.#servers.set(listener, server);
    }
  }

  /** The port that a listener really has; undefined where it is off. */
  portOf(listener: Listener): number | undefined {
    return (this.#servers.get(listener)?.address() as AddressInfo | undefined)?.port;
  }

  /** From here on every answer asks its caller to come back over a new connection, which leads to another replica. */
  leave(): void {
    this.#leaving = true;
  }

  /** Takes no new connections and resolves when the requests that are running have been answered. */
  async close(): Promise<void> {
    for (const path of this.#watched) unwatchFile(path);
    await Promise.all(
      [...this.#servers.values()].map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeIdleConnections();
          }),
      ),
    );
    this.#servers.clear();
  }

  /** Ends what is still open, answered or not. */
  cut(): void {
    for (const server of this.#servers.values()) server.closeAllConnections();
  }

  #createTls(serve: RequestListener, tls: { certFile: string; keyFile: string }): TlsServer {
    const read = (): { cert: Buffer; key: Buffer } => ({
      cert: readFileSync(tls.certFile),
      key: readFileSync(tls.keyFile),
    });
    const server = createTlsServer(
      { ...TIMES_MS, ...read(), minVersion: 'TLSv1.2', requireHostHeader: false },
      serve,
    );
    this.#watched = [tls.certFile, tls.keyFile];
    for (const path of this.#watched) {
      watchFile(path, { interval: CERTIFICATE_LOOK_MS, persistent: false }, () => {
        try {
          server.setSecureContext({ ...read(), minVersion: 'TLSv1.2' });
        } catch {
          // Half of a pair is new, or a file is gone for a moment: the next change is looked at again.
        }
      });
    }
    return server;
  }
}

async function listen(
  server: Server | TlsServer,
  host: string,
  port: number,
  variable: string,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const why = taken ? 'is taken' : `cannot be opened on ${host} (${error.code})`;
      reject(new ListenError(`port ${port} ${why}: free it, or set ${variable} to another`));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
