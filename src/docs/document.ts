import { createRequire } from 'node:module';
import { listenersOf } from '../http/listeners.js';
import { type Schema } from '../shared/schema.js';
import { operationOf, tagOf } from './operation.js';
import { PROBLEM_EXAMPLES, PROBLEM_SCHEMA } from './problems.js';
import type { Route } from './routes.js';
import { Schemas } from './schemas.js';

const { version, license } = createRequire(import.meta.url)('../../package.json') as {
  readonly version: string;
  readonly license: string;
};

const ABOUT = `Keeps the access tokens of companies at their providers, renews them, and hands them out.

Errors are \`application/problem+json\` (RFC 9457). They are checked in this order: key (401), rate (429), the form of the ids in
the path (400), permission (403, before anything is looked up), other input (400), what is not there (404), revoked (410), then 409,
502 and 503. Unknown fields and parameters are refused. Beside what stands at each operation, a URL that is too long is 414,
headers that are too large are 431, and a path or method that does not exist is 404 \`not_found\`; their codes are among those of
\`Problem\`. Every answer under \`/v1\` is \`Cache-Control: no-store\`.`;

const SECONDS: Schema = { type: 'integer', minimum: 1 };

const HEADERS = {
  'X-Request-Id': {
    description: "The caller's own where it is 1 to 64 of A-Z a-z 0-9 . _ -, else one of the broker's.",
    schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
  },
  'Retry-After': { description: 'Seconds until it is worth asking again.', schema: SECONDS },
  'WWW-Authenticate': { schema: { type: 'string' } },
  'RateLimit-Policy': { description: 'What a caller may do.', schema: { type: 'string' } },
  RateLimit: { description: 'What is left of it.', schema: { type: 'string' } },
};

/** The description of these routes as an OpenAPI 3.1 document. Throws for what it cannot describe. */
export function describe(routes: readonly Route[], publicUrl: string): object {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const isPublic = listenersOf(route.path).includes('public');
    const servers = isPublic ? { servers: [{ url: publicUrl, description: 'The public listener' }] } : {};
    (paths[route.path] ??= {})[route.method] = { ...operationOf(route, schemas), ...servers };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Token Broker',
      version,
      description: ABOUT,
      license: { name: license, identifier: license },
    },
    servers: [{ url: '/', description: 'The internal listener' }],
    security: [{ bearer: [] }],
    tags: [...new Set(routes.map(({ path }) => tagOf(path)))].sort().map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: "A client's key, or a workload's own JWT." },
      },
      headers: HEADERS,
      examples: PROBLEM_EXAMPLES,
      schemas: { ...schemas.all, Problem: PROBLEM_SCHEMA },
    },
  };
}
