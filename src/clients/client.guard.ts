import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AuditBuffer } from '../audit/audit-buffer.js';
import { isRandomId, isUuid, parseId, type Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { notesOf, type KnownRequest } from '../http/access.js';
import { resourceOf, type Action, type Caller } from '../http/caller.js';
import { CallerLimits } from './caller-limits.js';

interface PathIds {
  /** Of a provider whose own routes these are. */
  readonly name?: string;
  readonly provider?: string;
  readonly companyId?: string;
  readonly locationId?: string;
  readonly connectionId?: string;
  readonly sessionId?: string;
  readonly clientId?: string;
  readonly receiver?: string;
  readonly keyId?: string;
}

type Query = Readonly<Record<string, unknown>>;

/** The permission that a caller lacks; without an action where the route has no rule. */
interface Lack {
  readonly caller: Caller;
  readonly action: Action | undefined;
  readonly resource: string;
}

/**
 * Closed by default: lets through what is public, and what its caller is permitted; a route without a rule is refused. It
 * judges before the body is read, so that who may not ask learns nothing of what a body should be, and costs nothing.
 */
@Injectable()
export class ClientGuard {
  constructor(
    private readonly audit: AuditBuffer,
    private readonly limits: CallerLimits,
  ) {}

  /** Puts itself before every request that has a route; who calls has to be known by then. */
  guard(fastify: FastifyInstance): void {
    fastify.addHook('onRequest', (request: FastifyRequest, _: FastifyReply, done) => {
      try {
        const lack = judge(request);
        if (lack) this.#refuse(lack);
      } catch (error) {
        return done(error as Error);
      }
      done();
    });
    fastify.addHook('preValidation', (request: FastifyRequest, _: FastifyReply, done) => {
      const { isPublicSince, readsBody } = notesOf(request);
      const isUnread = isPublicSince === undefined && !readsBody && !isEmpty(request.body);
      done(isUnread ? invalid('body', 'is not read here: leave it out') : undefined);
    });
  }

  /** Each refusal stands alone in the trail, so that a caller may not cause as many as it likes. */
  #refuse({ caller, action, resource }: Lack): never {
    if (action) {
      this.limits.count('denials', caller.id);
      this.audit.note({ actor: caller, action, outcome: 'denied', resource, reason: 'forbidden' });
    }
    throw new Problem(
      'forbidden',
      `This caller lacks the permission ${action ?? 'for this route'} on ${resource}: whoever holds client:admin can give it.`,
    );
  }
}

/** What keeps the caller from what it asks for; undefined where nothing does. Throws Problem `invalid_request`. */
function judge(request: KnownRequest): Lack | undefined {
  const { requires, requiresOnFound, isPublicSince, readsQuery } = notesOf(request);
  if (isPublicSince !== undefined || request.is404) return undefined;
  const { caller } = request;
  if (!caller) throw new Problem('unauthenticated', 'Send a valid key as "Authorization: Bearer <key>".');
  const ids = request.params as PathIds;
  const query = request.query as Query;
  const subject = readSubject(ids, query);
  const resource = resourceOf(subject);
  if (!requires && !requiresOnFound) return { caller, action: undefined, resource };
  const lacking = requires?.find((action) => !caller.permits(action, resource));
  if (lacking) return { caller, action: lacking, resource };
  if (requiresOnFound && !caller.permissions.permitsSome(requiresOnFound))
    return { caller, action: requiresOnFound, resource };
  if (!readsQuery) refuseQuery(query, namesCompanyInQuery(ids) ? ['company_id'] : []);
  if (subject) request.subject = subject;
  return undefined;
}

/** Checks every id; undefined where the request names no company. */
function readSubject(ids: PathIds, query: Query): Subject | undefined {
  if (ids.connectionId !== undefined && !isUuid(ids.connectionId))
    throw invalid('connection_id', 'must be a UUID');
  if (ids.clientId !== undefined && !isUuid(ids.clientId)) throw invalid('client_id', 'must be a UUID');
  if (ids.keyId !== undefined && !isUuid(ids.keyId)) throw invalid('key_id', 'must be a UUID');
  if (ids.name !== undefined) parseId('name', ids.name);
  if (ids.receiver !== undefined) parseId('receiver', ids.receiver);
  if (ids.sessionId !== undefined && !isRandomId(ids.sessionId))
    throw invalid('session_id', 'must be 1 to 64 of A-Z a-z 0-9 _ -');
  if (ids.provider === undefined) return undefined;
  const inQuery = namesCompanyInQuery(ids);
  if (ids.companyId === undefined && !inQuery) return undefined;
  return {
    provider: parseId('provider', ids.provider),
    companyId: parseId('company_id', inQuery ? query['company_id'] : ids.companyId),
    locationId: ids.locationId === undefined ? null : parseId('location_id', ids.locationId),
  };
}

/** A session's token: the id alone does not say whose it is, so that a caller has to. */
function namesCompanyInQuery(ids: PathIds): boolean {
  return ids.provider !== undefined && ids.sessionId !== undefined;
}

function refuseQuery(query: Query, known: readonly string[]): void {
  const name = Object.keys(query).find((it) => !known.includes(it));
  if (name !== undefined)
    throw invalid(/^[A-Za-z0-9_]{1,64}$/.test(name) ? name : 'query', 'is not known here');
}

/** Whoever sends fields to a route that reads none believes that they do something. Many clients send `{}` with a POST. */
function isEmpty(body: unknown): boolean {
  return body === undefined || body === null || (typeof body === 'object' && Object.keys(body).length === 0);
}
