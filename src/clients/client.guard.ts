import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { isUuid, parseId, type Subject } from '../shared/ids.js';
import { invalid, Problem } from '../shared/problem.js';
import { PUBLIC, READS_QUERY, REQUIRES, type KnownRequest } from './access.js';
import { resourceOf, type Action } from './caller.js';

interface PathIds {
  readonly provider?: string;
  readonly companyId?: string;
  readonly locationId?: string;
  readonly connectionId?: string;
}

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
    const subject = readPath(request.params as PathIds);
    if (action === undefined || !caller.permits(action, subject ? resourceOf(subject) : '**')) {
      throw new Problem('forbidden', `This caller lacks the permission ${action ?? 'for this route'}.`);
    }
    if (!this.reflector.get<boolean | undefined>(READS_QUERY, route)) refuseQuery(request.query);
    if (subject) request.subject = subject;
    return true;
  }
}

/** Checks every id in the path; undefined where it names no company. */
function readPath(ids: PathIds): Subject | undefined {
  if (ids.connectionId !== undefined && !isUuid(ids.connectionId))
    throw invalid('connection_id', 'must be a UUID');
  if (ids.provider === undefined || ids.companyId === undefined) return undefined;
  return {
    provider: parseId('provider', ids.provider),
    companyId: parseId('company_id', ids.companyId),
    locationId: ids.locationId === undefined ? null : parseId('location_id', ids.locationId),
  };
}

function refuseQuery(query: unknown): void {
  const [name] = Object.keys(query as Record<string, unknown>);
  if (name !== undefined)
    throw invalid(/^[A-Za-z0-9_]{1,64}$/.test(name) ? name : 'query', 'is not known here');
}
