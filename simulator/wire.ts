import Fastify, { type FastifyInstance } from 'fastify';
import type { FastifySchemaValidationError } from 'fastify/types/schema.js';

/** Enough for a thousand callers that arrive at the same instant; the default of 511 makes some of them wait a second. */
export const LISTEN_BACKLOG = 4096;

/** A Fastify that reads JSON and form bodies, refuses what a schema does not know, and says what was wrong. */
export function createServer(): FastifyInstance {
  const app = Fastify({
    forceCloseConnections: true,
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true, allowUnionTypes: true },
    },
    schemaErrorFormatter: (errors, part) => new Error(errors.map((error) => explain(error, part)).join('; ')),
  });
  app.removeContentTypeParser('application/json');
  addBodyParser(app, 'application/json', parseJson);
  addBodyParser(app, 'application/x-www-form-urlencoded', (body) =>
    Object.fromEntries(new URLSearchParams(body)),
  );
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    return reply
      .code(status)
      .send({ message: error.message, status, code: status < 500 ? 'BAD_REQUEST' : 'BROKEN' });
  });
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send({ message: `no route ${request.method} ${request.url}`, status: 404, code: 'NOT_FOUND' }),
  );
  return app;
}

function addBodyParser(app: FastifyInstance, type: string, parse: (body: string) => unknown): void {
  app.addContentTypeParser<string>(type, { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parse(body));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** An empty body counts as an empty object: `curl -X POST` on a control route needs no `-d '{}'`. */
function parseJson(body: string): unknown {
  if (body.trim() === '') return {};
  try {
    return JSON.parse(body);
  } catch {
    throw Object.assign(new Error('the body is not JSON'), { statusCode: 400 });
  }
}

function explain(error: FastifySchemaValidationError, part: string): string {
  const where = `${part}${error.instancePath.replaceAll('/', '.')}`;
  if (error.keyword === 'additionalProperties')
    return `${where} knows no ${String(error.params['additionalProperty'])}`;
  if (error.keyword === 'enum')
    return `${where} must be one of ${JSON.stringify(error.params['allowedValues'])}`;
  return `${where} ${error.message ?? 'is not valid'}`;
}
