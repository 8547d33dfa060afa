import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
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
  /** Whether other processes may have the same ports; not the one for operations, which asks each of them. */
  readonly sharePorts?: boolean;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
}

/** Answers what it can from the socket itself, and has all else go the long way, through the routes. */
export type ShortWay = (request: IncomingMessage, response: ServerResponse, goTheLongWay: () => void) => void;

/** Answers whatever comes through a door. */
export type Answering = (door: Listener, request: IncomingMessage, response: ServerResponse) => void;

/** A port that could not be opened; the message says which and why, in one line. */
export class ListenError extends Error {
  override name = 'ListenError';
}

const CERTIFICATE_LOOK_MS = 1_000;
/** A caller that was answered while the listeners close keeps its connection, which nothing else would end. */
const IDLE_LOOK_MS = 50;
/** A caller gets this long for its headers, and for all of its request; an idle connection is kept for a minute. */
const TIMES_MS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 } as const;
/**
 * Strangers get less, and who is over time is looked for each second, not twice a minute. An idle connection is kept as
 * long as inside: an ingress that met a closing one would answer a seller with its own 502.
 */
const PUBLIC_TIMES_MS = {
  ...TIMES_MS,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
} as const;
/** A missing host is refused as a problem; no stream is made of the body of a request that has none. */
const PLAIN = { requireHostHeader: false, optimizeEmptyRequests: true } as const;
/** A process has few file descriptors, which the services inside need, too; an ingress uses dozens. */
const MOST_PUBLIC_CONNECTIONS = 1_000;
/** Of requests that did not come through the internal one. */
const doors = new WeakMap<IncomingMessage, Listener>();

/** Refuses what belongs behind another door, before anything else is done for it. Judged by the route, not the URL. */
export function guardDoors(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    void reply.header('x-request-id', request.id).header('cache-control', 'no-store');
    const door = doors.get(request.raw) ?? 'internal';
    const route = request.routeOptions.url;
    // Without a route, only the internal door has more to say: whether the caller has a key.
    const doorways = route === undefined ? ['internal'] : listenersOf(route);
    if (!doorways.includes(door)) return done(nothingHere());
    done(isWhole(request) ? undefined : new Problem('invalid_request', 'Send one Host, and no Expect.'));
  });
}

/** To a parser that waits for its end, a body that has ended already is as good as none: it would wait for ever. */
export function endEmptyBodies(fastify: FastifyInstance): void {
  fastify.addHook('preParsing', (request: FastifyRequest, _reply: FastifyReply, body, done) => {
    done(null, request.raw.readableEnded ? Readable.from([]) : body);
  });
}

/** What Node would refuse with an empty page is refused here, as a problem. */
function isWhole({ headers, raw }: FastifyRequest): boolean {
  const { host, expect } = headers;
  return (host !== undefined || raw.httpVersion === '1.0') && (!expect || /^100-continue$/i.test(expect));
}

/** Is this the route of a browser, or of whoever else comes from outside? */
export function isBrowserRoute(route: string): boolean {
  return /^\/(fp|oauth)\//.test(route);
}

/** The doors behind which a route lies. */
export function listenersOf(route: string): readonly Listener[] {
  if (isBrowserRoute(route)) return ['public'];
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
  #answer: Answering = (_door, _request, response) => response.destroy();

  /** Opens every port that is on; on the internal one, `short` is asked first. Throws a ListenError where one cannot be. */
  async open(
    fastify: FastifyInstance,
    settings: ListenerSettings,
    short: ShortWay = noShortWay,
  ): Promise<void> {
    await fastify.ready();
    await this.#open(settings, (door, request, response) => {
      if (door === 'internal') return short(request, response, () => fastify.routing(request, response));
      doors.set(request, door);
      fastify.routing(request, response);
    });
  }

  /**
   * Opens them before there are routes, to be answered so until `open`. Ports that are shared stay closed: those who have
   * them, too, are the ones to answer there. Throws a ListenError.
   */
  async openEarly(settings: ListenerSettings, answer: Answering): Promise<void> {
    const isShared = settings.sharePorts === true;
    await this.#open(isShared ? { ...settings, port: null, publicPort: null } : settings, answer);
  }

  async #open(settings: ListenerSettings, answer: Answering): Promise<void> {
    this.#answer = answer;
    const wanted: [Listener, number | null, string][] = [
      ['internal', settings.port, 'PORT'],
      ['public', settings.publicPort, 'PUBLIC_PORT'],
      ['ops', settings.opsPort, 'OPS_PORT'],
    ];
    for (const [listener, port, variable] of wanted) {
      if (port === null || this.#servers.has(listener)) continue;
      const serve: RequestListener = (request, response) => {
        if (this.#leaving) response.setHeader('connection', 'close');
        this.#answer(listener, request, response);
      };
      const server =
        listener === 'internal' && settings.tls
          ? this.#createTls(serve, settings.tls)
          : createServer({ ...(listener === 'public' ? PUBLIC_TIMES_MS : TIMES_MS), ...PLAIN }, serve);
      if (listener === 'public') server.maxConnections = MOST_PUBLIC_CONNECTIONS;
      server.on('clientError', refuseBrokenRequest);
      server.on('checkExpectation', serve);
      server.on('connect', (_, socket: Socket) => refuseBrokenRequest(new Error('no proxy'), socket));
      const reusePort = settings.sharePorts === true && listener !== 'ops';
      await listen(server, { host: settings.host, port, reusePort }, variable);
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
    const servers = [...this.#servers.values()];
    const looking = setInterval(() => servers.forEach((it) => it.closeIdleConnections()), IDLE_LOOK_MS);
    await Promise.all(
      servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))),
    );
    clearInterval(looking);
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
    const server = createTlsServer({ ...TIMES_MS, ...read(), minVersion: 'TLSv1.2', ...PLAIN }, serve);
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

const noShortWay: ShortWay = (_request, _response, goTheLongWay) => goTheLongWay();

async function listen(
  server: Server | TlsServer,
  address: { readonly host: string; readonly port: number; readonly reusePort: boolean },
  variable: string,
): Promise<void> {
  const { host, port } = address;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const why = taken ? 'is taken' : `cannot be opened on ${host} (${error.code})`;
      reject(new ListenError(`port ${port} ${why}: free it, or set ${variable} to another`));
    });
    server.listen(address, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
