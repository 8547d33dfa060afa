import {
  Problem,
  PROBLEM_CODES,
  type ProblemBody,
  type ProblemCode,
  type ProblemExtensions,
} from '../shared/problem.js';
import { type Schema } from '../shared/schema.js';

const EXAMPLE_REQUEST = '0b1f2a3c-5d6e-4f70-8a9b-0c1d2e3f4a5b';

const TEXT: Schema = { type: 'string' };

/** Every member that a problem may have: RFC 9457's, then ours. The type makes sure that none is forgotten. */
const MEMBERS: Readonly<Record<keyof ProblemBody, Schema>> = {
  type: { type: 'string', format: 'uri', description: '`urn:token-broker:problem:` and the code.' },
  title: { ...TEXT, description: 'What the code means, in words.' },
  status: { type: 'integer', minimum: 400, maximum: 599 },
  code: { type: 'string', enum: PROBLEM_CODES, description: 'Stable: what a program may decide by.' },
  detail: { ...TEXT, description: 'For people; never quotes a body or a secret.' },
  request_id: { ...TEXT, description: 'As in `X-Request-Id`, and in the log of the broker.' },
  errors: {
    type: 'array',
    description: 'What is malformed, field by field.',
    items: {
      type: 'object',
      required: ['field', 'message'],
      properties: { field: TEXT, message: TEXT },
      additionalProperties: false,
    },
  },
  retry_after: { type: 'integer', minimum: 1, description: 'Seconds, as in `Retry-After`.' },
  connection_id: { type: 'string', format: 'uuid' },
  authorize_url: {
    type: 'string',
    format: 'uri',
    description: 'Where a seller connects again; only for callers with `connection:write`.',
  },
  missing_scopes: { type: 'array', items: TEXT },
  max_ttl: { type: 'integer', minimum: 0, description: 'Seconds: the longest `min_ttl` that can be had.' },
  checks: {
    type: 'object',
    description: 'Of the readiness: each part and how it is.',
    additionalProperties: TEXT,
  },
};

export const PROBLEM_SCHEMA: Schema = {
  type: 'object',
  description: 'An error, after RFC 9457.',
  required: ['type', 'title', 'status', 'code', 'detail', 'request_id'],
  properties: MEMBERS,
};

/** What comes along with a code, for a reader to see. */
const EXTENSIONS: Partial<Record<ProblemCode, ProblemExtensions>> = {
  invalid_request: {
    errors: [{ field: 'min_ttl', message: 'must be given once, as whole seconds from 0 to 3600' }],
  },
  reauthorization_required: {
    connection_id: '7f8c1f7e-3d0a-4a5e-9a53-0d6a2a1c9b10',
    authorize_url: 'https://broker.example/oauth/connect/authorize?link=eyJhbGciOi',
  },
  scope_missing: { missing_scopes: ['company/orders'] },
  ttl_unsatisfiable: { max_ttl: 3_240 },
  rate_limited: { retry_after: 1 },
  provider_unavailable: { retry_after: 5 },
  store_unavailable: { retry_after: 5 },
  overloaded: { retry_after: 1 },
  not_ready: { checks: { database: 'unreachable' } },
};

/** An example of every problem, by code. */
export const PROBLEM_EXAMPLES = Object.fromEntries(
  PROBLEM_CODES.map((code) => {
    const body = new Problem(code, '', EXTENSIONS[code]).toBody(EXAMPLE_REQUEST);
    return [code, { value: { ...body, detail: `${body.title}.` } }];
  }),
);

/** Headers that come with a status whatever its code. */
const HEADERS: Readonly<Record<number, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After', 'RateLimit-Policy', 'RateLimit'],
  503: ['Retry-After'],
};

/**
 * The error answers of a route, by status: each with its codes and an example of every one.
 *
 * @param readsBody then a body may also be of a type that is not read, which is a 415
 * @param hasPage where a browser is answered with a page unless it asks for JSON
 */
export function problemResponses(
  codes: readonly ProblemCode[],
  { readsBody, hasPage }: { readonly readsBody: boolean; readonly hasPage: boolean },
): Record<string, object> {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of PROBLEM_CODES.filter((it) => codes.includes(it))) {
    const { status } = new Problem(code, '');
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  if (readsBody) byStatus.set(415, ['invalid_request']);
  const answers = [...byStatus].sort(([one], [other]) => one - other);
  return Object.fromEntries(answers.map(([status, those]) => [status, response(status, those, hasPage)]));
}

function response(status: number, codes: readonly ProblemCode[], hasPage: boolean): object {
  const schema = {
    allOf: [{ $ref: '#/components/schemas/Problem' }],
    properties: { status: { const: status }, code: { enum: codes } },
  };
  const examples = codes.filter((code) => new Problem(code, '').status === status);
  const headers = ['X-Request-Id', ...(HEADERS[status] ?? [])];
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: Object.fromEntries(headers.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
    content: {
      'application/problem+json': {
        schema,
        examples: Object.fromEntries(
          examples.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
        ),
      },
      ...(hasPage && { 'text/html': { schema: TEXT } }),
    },
  };
}
