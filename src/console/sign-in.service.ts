import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AuditBuffer } from '../audit/audit-buffer.js';
import type { AuditEvent } from '../audit/audit-event.js';
import { BEARER } from '../clients/authentication.js';
import { BrowserSessions, isLoopback, type Proof, type Session } from '../clients/browser-session.js';
import { EndedSessions } from '../clients/ended-sessions.js';
import { isSameOrigin, siteOf, type Site } from '../clients/same-origin.js';
import { hashOf, keyIdOf } from '../clients/service-key.js';
import { foreign, SessionAuthentication } from '../clients/session-authentication.js';
import { WorkloadIdentity } from '../clients/workload-identity.js';
import type { Caller } from '../http/caller.js';
import { EVERYTHING } from '../shared/permission.js';
import { Problem } from '../shared/problem.js';

/** A session as it was written just now. */
export interface WrittenSession {
  readonly cookie: string;
  readonly endsAt: Date;
  readonly until: Date;
}

/** Trades a credential for a session of the browser that it was typed into, and prolongs that while somebody is there. */
@Injectable()
export class SignIn {
  constructor(
    private readonly sessions: BrowserSessions,
    private readonly authentication: SessionAuthentication,
    private readonly ended: EndedSessions,
    private readonly workloads: WorkloadIdentity,
    private readonly audit: AuditBuffer,
  ) {}

  /** Opens a session for the credential that the request brings, or goes on with the one that it brings. */
  async open(request: FastifyRequest, caller: Caller): Promise<WrittenSession> {
    const site = siteOfPage(request);
    const running = request.headers.authorization === undefined && (await this.authentication.read(request));
    if (running) return this.#write(running, site);
    const { proof, bound } = this.#proofOf(request, caller);
    this.audit.note(traceOf(caller, 'signed_in'));
    const from = site.isHttps ? null : request.ip;
    const until = this.sessions.endOf(bound);
    return this.#write({ id: randomUUID(), clientId: caller.id, proof, host: site.host, from, until }, site);
  }

  /** No copy of the session is good any more. Whose it was is told to the trail. */
  async end(request: FastifyRequest, caller: Caller | undefined): Promise<void> {
    siteOfPage(request);
    // Nobody is kept in because the trail is full.
    if (caller) this.audit.noteAnswered(traceOf(caller, 'signed_out'));
    const session = await this.authentication.read(request);
    if (session) await this.#end(session);
  }

  async #end(session: Session): Promise<void> {
    try {
      await this.ended.add(session);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // The browser has no session any more; but somebody else may have it.
      throw new Problem(
        error.code,
        `This browser is signed out, but a copy of its session, if there is one, is good until ${session.until.toISOString()}: the database could not be told. Rotate the key if you fear that there is one.`,
        error.extensions,
      );
    }
  }

  async #write(session: Session, site: Site): Promise<WrittenSession> {
    return { ...(await this.sessions.write(session, site)), until: session.until };
  }

  /** What a caller came with, so far as it says who that is, and when it ends where nobody here would know. */
  #proofOf({ headers }: FastifyRequest, caller: Caller): { proof: Proof; bound: Date | null } {
    const credential = BEARER.exec(headers.authorization ?? '')?.[1] ?? '';
    const hash = hashOf(credential);
    if (caller.keyId !== null) {
      const id = caller.id === 'admin' ? null : (keyIdOf(credential) ?? null);
      return { proof: { key: { id, hash } }, bound: null };
    }
    const workload = this.workloads.remembered(hash);
    if (!workload)
      throw new Problem('unauthenticated', 'The token is not believed any more: bring a new one.');
    const { issuer, subject, expiresAt } = workload;
    return { proof: { workload: { issuer, subject } }, bound: expiresAt };
  }
}

function traceOf(actor: Caller, reason: 'signed_in' | 'signed_out'): AuditEvent {
  return { actor, action: '*', outcome: 'allowed', resource: EVERYTHING, reason };
}

/** Throws where no page of ours asks, or the way to it is one on which a browser would not send the cookie again. */
function siteOfPage(request: FastifyRequest): Site {
  const site = siteOf(request.headers.origin ?? '');
  if (!site || !isSameOrigin(request)) throw foreign();
  if (site.isHttps || isLoopback(site.host)) return site;
  throw new Problem(
    'invalid_request',
    'Nobody signs in over plain http: open the console over https, or by a way that ends on this machine (kubectl port-forward).',
  );
}
