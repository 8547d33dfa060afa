import { NOTHING, SENDS_BROWSER, type Success } from '../http/description.js';
import { listenersOf } from '../http/listeners.js';
import type { ProblemCode } from '../shared/problem.js';
import { missingCodes, parametersOf } from './parameters.js';
import { problemResponses } from './problems.js';
import type { Route } from './routes.js';
import type { Schemas } from './schemas.js';

/** What every route under `/v1` may answer. */
const ANY_CALL: readonly ProblemCode[] = [
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'rate_limited',
  'store_unavailable',
];

const REQUEST_ID = { 'X-Request-Id': { $ref: '#/components/headers/X-Request-Id' } };

/** One route as an operation of OpenAPI 3.1. A route that nobody has described has neither a summary nor an answer. */
export function operationOf(route: Route, schemas: Schemas): object {
  const { answering, permission, reading } = route;
  const { success, summary = '', problems = [] } = answering ?? {};
  const body = reading.body && schemas.body(reading.body);
  const isApi = route.path.startsWith('/v1/');
  const codes: ProblemCode[] = [
    ...(isApi ? ANY_CALL : []),
    ...(body ? (['invalid_request', 'payload_too_large'] as const) : []),
    ...(isApi ? missingCodes(route) : []),
    ...(listenersOf(route.path).includes('public') ? (['overloaded'] as const) : []),
    ...problems,
    'internal_error',
  ];
  return {
    operationId: route.operationId,
    summary,
    description: permissionText(route),
    tags: [tagOf(route.path)],
    'x-listeners': listenersOf(route.path),
    ...(permission !== null && { 'x-permission': permission }),
    security: permission === null ? [] : [{ bearer: [] }],
    parameters: parametersOf(route, schemas),
    ...(body && {
      requestBody: {
        required: schemas.needsBody(body),
        content: { 'application/json': { schema: body, example: schemas.exampleOf(body) } },
      },
    }),
    responses: {
      ...(success && successResponses(route, success, schemas)),
      ...problemResponses(codes, { readsBody: body !== undefined, hasPage: success === SENDS_BROWSER }),
    },
  };
}

/** `/v1/tokens/…` is about tokens, `/health/live` about health. */
export function tagOf(path: string): string {
  const [first = '', second = ''] = path.slice(1).split('/');
  if (first === 'v1') return second;
  return first === 'openapi.json' ? 'docs' : first;
}

function permissionText({ permission, isJudgedOnFound, path }: Route): string {
  if (permission === null) {
    return listenersOf(path).includes('public') ? 'For browsers, on the public listener.' : 'Needs no key.';
  }
  const what = isJudgedOnFound ? ' for the company that the session is of' : '';
  return `Needs the permission \`${permission}\`${what}.`;
}

function successResponses(
  { status, method }: Route,
  success: Success,
  schemas: Schemas,
): Record<string, object> {
  if (success === SENDS_BROWSER) {
    const location = { Location: { schema: { type: 'string', format: 'uri' } }, ...REQUEST_ID };
    return {
      200: {
        description: 'A page, where there is nowhere to go on to',
        content: { 'text/html': { schema: { type: 'string' } } },
      },
      302: { description: 'The way on', headers: location },
    };
  }
  if (success === NOTHING) return { [status]: { description: 'Done', headers: REQUEST_ID } };
  const answer = { headers: REQUEST_ID, content: contentOf(success, schemas) };
  if (method !== 'put') return { [status]: { description: 'Done', ...answer } };
  return { 200: { description: 'Replaced', ...answer }, 201: { description: 'Made', ...answer } };
}

function contentOf(success: Exclude<Success, string>, schemas: Schemas): object {
  if ('media' in success) return { [success.media]: { schema: { type: 'string' } } };
  const schema = 'itemsOf' in success ? schemas.page(success) : schemas.of(success);
  return { 'application/json': { schema, example: schemas.exampleOf(schema) } };
}
