import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { KnownRequest } from '../http/access.js';
import { Problem } from '../shared/problem.js';
import { ADMIN, AdminKey } from './admin-key.js';
import { BrowserSessions, hasSession, type Proof, type Session } from './browser-session.js';
import { ClientDirectory, type KnownClient } from './client-directory.js';
import { EndedSessions } from './ended-sessions.js';
import { RequestCaller } from './request-caller.js';
import { isSameOrigin } from './same-origin.js';

/**
 * What a browser may ask for by its session alone: never a token, nor a key that is made; those are told to whoever brings a
 * credential. A route that is not here does not know of sessions.
 */
const WITH_SESSION = /^\/(console\/session|v1\/(overview|connections|providers|audit-events|keys)(\/.*)?)$/;
const CLIENTS = /^\/v1\/clients(\/:clientId)?$/;

/** Finds out who sits before a browser: the second way to be a caller, by all else of the same rights. */
@Injectable()
export class SessionAuthentication {
  constructor(
    private readonly sessions: BrowserSessions,
    private readonly ended: EndedSessions,
    private readonly directory: ClientDirectory,
    private readonly admin: AdminKey,
  ) {}

  /** Puts itself before every request that brings a session and no other credential. */
  guard(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request: FastifyRequest, _, done) => {
      const { authorization, cookie } = request.headers;
      if (authorization !== undefined || !hasSession(cookie) || !takesSession(request)) return done();
      if (!isSameOrigin(request)) return done(foreign());
      this.#recognise(request).then(
        () => done(),
        // Whoever signs out is out of this browser, whether they could be known or not.
        (error: unknown) => (isSigningOut(request) ? done() : done(error as Error)),
      );
    });
  }

  /** The session that a request brings. */
  read({ headers, host, ip }: FastifyRequest): ReturnType<BrowserSessions['read']> {
    return this.sessions.read(headers.cookie, { host, ip });
  }

  async #recognise(request: KnownRequest): Promise<void> {
    const session = await this.read(request);
    const client = session && (await this.#find(session));
    if (client) request.caller = new RequestCaller(client, request);
  }

  /** The client, where it is there and what it came with still lets it in; that is known here, or looked up. */
  async #find(session: Session): Promise<KnownClient | null> {
    const client = await this.#prove(session.proof);
    // The workload may be another client's by now.
    return client?.id === session.clientId && !(await this.ended.has(session)) ? client : null;
  }

  async #prove(proof: Proof): Promise<KnownClient | null> {
    if ('workload' in proof) return this.directory.findWorkload(proof.workload);
    const { id, hash } = proof.key;
    if (id === null) return this.admin.is(hash) ? ADMIN : null;
    return this.directory.findKey(id, hash);
  }
}

/** Where another page sent it, or something that is no page: SameSite alone keeps no neighbouring host away. */
export function foreign(): Problem {
  return new Problem(
    'forbidden',
    "The console's session works from the console's own page alone: its Origin has to be the host that is asked.",
  );
}

function isSigningOut({ method, routeOptions: { url } }: FastifyRequest): boolean {
  return method === 'DELETE' && url === '/console/session';
}

function takesSession({ method, is404, routeOptions: { url = '' } }: FastifyRequest): boolean {
  // Where there is nothing, a session is told so.
  if (is404 || WITH_SESSION.test(url)) return true;
  return CLIENTS.test(url) && ['GET', 'HEAD', 'DELETE'].includes(method);
}
