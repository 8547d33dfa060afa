import { RequestMethod } from '@nestjs/common';
import { HTTP_CODE_METADATA, METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import type { ModulesContainer } from '@nestjs/core';
import { notesOfHandler } from '../http/access.js';
import { ANSWERS, READS, type Answering, type Reading } from '../http/description.js';
import { argumentsOf } from '../http/route-arguments.js';
import { type Shape } from '../shared/schema.js';

/** One method of one path, with all that its handler's decorators say. */
export interface Route {
  readonly operationId: string;
  /** In lower case. */
  readonly method: string;
  /** As OpenAPI has it: `/v1/sessions/{session_id}`. */
  readonly path: string;
  readonly parameters: readonly string[];
  readonly status: number;
  /** Null where anybody may. */
  readonly permission: string | null;
  readonly isJudgedOnFound: boolean;
  /** Undefined where nobody has described it. */
  readonly answering: Answering | undefined;
  readonly reading: Reading;
}

type Controller = Shape;

/** Every route of every controller of the application. */
export function listRoutes(modules: ModulesContainer): Route[] {
  const controllers = [...modules.values()].flatMap((module) => [...module.controllers.values()]);
  return controllers.flatMap(({ metatype }) => (metatype ? routesOf(metatype as Controller) : []));
}

function routesOf(controller: Controller): Route[] {
  const prototype = controller.prototype as Record<string, object>;
  const names = Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
  return names.flatMap((name) => {
    const handler = prototype[name];
    const method: unknown = handler && Reflect.getMetadata(METHOD_METADATA, handler);
    if (!handler || typeof method !== 'number') return [];
    const prefix = String(Reflect.getMetadata(PATH_METADATA, controller));
    const paths = [Reflect.getMetadata(PATH_METADATA, handler) as string | string[]].flat();
    return paths.map((path, index) => ({
      operationId: nameOf(controller, name, path, index),
      ...placeOf(`/${prefix}/${path}`),
      ...ruleOf(handler),
      method: (RequestMethod[method] ?? '').toLowerCase(),
      status: statusOf(handler, method),
      answering: Reflect.getMetadata(ANSWERS, handler) as Answering | undefined,
      reading: readingOf(controller, name, handler),
    }));
  });
}

/** `TokenController.report` is `tokenReport`; where one method has several paths, the others say so. */
function nameOf({ name }: Controller, method: string, path: string, index: number): string {
  const noun = name.replace(/Controller$/, '');
  const which = index === 0 ? '' : path.includes(':locationId') ? 'OfLocation' : String(index + 1);
  return `${noun.charAt(0).toLowerCase()}${noun.slice(1)}${method.charAt(0).toUpperCase()}${method.slice(1)}${which}`;
}

/** The contract writes `company_id` where Nest's paths have `companyId`. */
function placeOf(nestPath: string): Pick<Route, 'path' | 'parameters'> {
  const parameters: string[] = [];
  const path = nestPath
    .replace(/\/{2,}/g, '/')
    .replace(/(.)\/$/, '$1')
    .replace(/:(\w+)/g, (_, name: string) => {
      const parameter = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      parameters.push(parameter);
      return `{${parameter}}`;
    });
  return { path, parameters };
}

function ruleOf(handler: object): Pick<Route, 'permission' | 'isJudgedOnFound'> {
  const { requires, requiresOnFound } = notesOfHandler(handler);
  return {
    permission: requires?.join(' and ') ?? requiresOnFound ?? null,
    isJudgedOnFound: requiresOnFound !== undefined,
  };
}

function statusOf(handler: object, method: number): number {
  const usual = RequestMethod[method] === 'POST' ? 201 : 200;
  return (Reflect.getMetadata(HTTP_CODE_METADATA, handler) as number | undefined) ?? usual;
}

/** What the decorator says, else the classes of the parameters. */
function readingOf(controller: Controller, name: string, handler: object): Reading {
  const { body, query } = argumentsOf(controller, name);
  return {
    ...(isShape(body) && { body }),
    ...(isShape(query) && { query }),
    ...(Reflect.getMetadata(READS, handler) as Reading | undefined),
  };
}

function isShape(type: unknown): type is Shape {
  return typeof type === 'function' && type !== Object;
}
