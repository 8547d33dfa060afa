import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { isRandomId, isUuid, parseId, type Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { PUBLIC, READS_QUERY, REQUIRES, REQUIRES_ON_FOUND, type KnownRequest } from './access.js';
import { resourceOf, type Action } from './caller.js';

interface PathIds {
  /** Of a provider whose own routes these are. */
  readonly name?: string;
  readonly provider?: string;
  readonly companyId?: string;
  readonly locationId?: string;
  readonly connectionId?: string;
  readonly sessionId?: string;
}

type Query = Readonly<Record<string, unknown>>;

/** Closed by default: lets through what is public, and what its caller is permitted; a route without a rule is refused. */
@Injectable()
export class ClientGuard implements CanActivate {
  constructor(@Inject(Reflector) private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const route = context.getHandler();
    if (this.reflector.get<string | undefined>(PUBLIC, route) !== undefined) return true;
    const action = this.reflector.get<Action | undefined>(REQUIRES, route);
    const request = context.switchToHttp().getRequest<KnownRequest>();
    const { caller } = request;
    if (!caller) throw new Problem('unauthenticated', 'Send a valid key as "Authorization: Bearer <key>".');
    const ids = request.params as PathIds;
    const query = request.query as Query;
    const subject = readSubject(ids, query);
    const isJudgedLater = this.reflector.get<Action | undefined>(REQUIRES_ON_FOUND, route) !== undefined;
    if (action === undefined ? !isJudgedLater : !caller.permits(action, resourceOf(subject))) {
      throw new Problem('forbidden', `This caller lacks the permission ${action ?? 'for this route'}.`);
    }
    if (!this.reflector.get<boolean | undefined>(READS_QUERY, route)) {
      refuseQuery(query, namesCompanyInQuery(ids) ? ['company_id'] : []);
    }
    if (subject) request.subject = subject;
    return true;
  }
}

/** Checks every id; undefined where the request names no company. */
function readSubject(ids: PathIds, query: Query): Subject | undefined {
  if (ids.connectionId !== undefined && !isUuid(ids.connectionId))
    throw invalid('connection_id', 'must be a UUID');
  if (ids.name !== undefined) parseId('name', ids.name);
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
