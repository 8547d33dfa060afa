import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Subject } from '../shared/ids.js';
import type { Action, Caller } from './caller.js';

export const REQUIRES = 'access:requires';
export const REQUIRES_ON_FOUND = 'access:requires-on-found';
export const READS_QUERY = 'access:reads-query';
export const PUBLIC = 'access:public';

/**
 * The caller needs this action on the resource that the path names, or for a session's token path and query. A route has
 * one of the three rules, or is refused.
 */
export const Requires = (action: Action): MethodDecorator => SetMetadata(REQUIRES, action);

/**
 * The caller needs this action on what the request turns out to be about: nothing in it says so before it is looked up.
 * The guard lets every caller pass; the service judges what it has found.
 */
export const RequiresOnFound = (action: Action): MethodDecorator => SetMetadata(REQUIRES_ON_FOUND, action);

/** This route reads query parameters and refuses those that it does not know; every other route refuses all. */
export const ReadsQuery = (): MethodDecorator => SetMetadata(READS_QUERY, true);

/** Anybody who reaches the listener may call this; `why` is for whoever reads the list of routes. */
export const Public = (why: string): MethodDecorator => SetMetadata(PUBLIC, why);

/** What authentication and the guard have found out about a request. */
export interface KnownRequest extends FastifyRequest {
  caller?: Caller;
  subject?: Subject;
}

/** The caller of this request. */
export const CallerOf = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = context.switchToHttp().getRequest<KnownRequest>();
  if (!caller) throw new Error('a route without a rule asked for its caller');
  return caller;
});

/** The provider, company and location that the path names, checked. */
export const SubjectOf = createParamDecorator((_: unknown, context: ExecutionContext): Subject => {
  const { subject } = context.switchToHttp().getRequest<KnownRequest>();
  if (!subject) throw new Error('a route without a subject in its path asked for one');
  return subject;
});
