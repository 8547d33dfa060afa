import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import type { FastifyRequest } from 'fastify';
import type { Subject } from '../shared/ids.js';
import type { ProblemCode } from '../shared/problem.js';
import type { Action, Caller } from './caller.js';
import { argumentsOf } from './route-arguments.js';

/** What the decorators of a route say of it. They are the HTTP server's, so that it can judge a request before Nest hears of it. */
export interface RouteNotes {
  /** One of these three is there, or the route is refused to everybody. */
  readonly requires?: readonly Action[];
  readonly requiresOnFound?: Action;
  readonly isPublicSince?: string;
  readonly readsQuery?: true;
  readonly readsBody?: boolean;
  readonly readsAnything?: true;
}

/** The caller needs all of these actions on the resource that the path names, or for a session's token path and query. */
export const Requires = (...actions: readonly Action[]): MethodDecorator => noted({ requires: actions });

/**
 * The caller needs this action on what the request turns out to be about: nothing in it says so before it is looked up.
 * Every caller passes that may do it to anything at all; the service judges what it has found.
 */
export const RequiresOnFound = (action: Action): MethodDecorator => noted({ requiresOnFound: action });

/** Anybody who reaches the listener may call this; `why` is for whoever reads the list of routes. */
export const Public = (why: string): MethodDecorator => noted({ isPublicSince: why });

/** This route reads query parameters and refuses those that it does not know; every other route refuses all. */
export const ReadsQuery = (): MethodDecorator => noted({ readsQuery: true });

/** This route answers everybody the same, and takes what is no JSON for nothing. */
export const ReadsAnything = (): MethodDecorator => noted({ readsAnything: true });

function noted(note: RouteNotes): MethodDecorator {
  return (target, method, descriptor) => {
    const readsBody = argumentsOf(target.constructor, String(method)).body !== undefined;
    const notes = { ...notesOfHandler(descriptor.value as object), readsBody, ...note };
    RouteConfig(notes)(target, method, descriptor);
  };
}

/** Of a controller's method. */
export function notesOfHandler(handler: object): RouteNotes {
  return (Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, handler) ?? {}) as RouteNotes;
}

/** Of the route that a request has found; it may have found none. */
export function notesOf(request: FastifyRequest): RouteNotes {
  return (request.routeOptions.config ?? {}) as RouteNotes;
}

/** What is found out about a request before its handler is called. */
export interface KnownRequest extends FastifyRequest {
  caller?: Caller;
  subject?: Subject;
  /** What it was refused with. */
  problem?: ProblemCode;
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
