import type { Reading } from '../http/description.js';
import { ID, RANDOM_ID } from '../shared/ids.js';
import type { ProblemCode } from '../shared/problem.js';
import { type Schema } from '../shared/schema.js';
import type { Route } from './routes.js';
import type { Schemas } from './schemas.js';

interface PathParameter {
  readonly schema: Schema;
  readonly description: string;
  /** What a route answers where there is no such thing. */
  readonly missing?: ProblemCode;
}

const anId = (example: string): Schema => ({ type: 'string', pattern: ID.source, examples: [example] });
const aUuid: Schema = { type: 'string', format: 'uuid', examples: ['7f8c1f7e-3d0a-4a5e-9a53-0d6a2a1c9b10'] };

/** What the guard checks in a path, by name. */
const IN_PATH: Readonly<Record<string, PathParameter>> = {
  provider: { schema: anId('konnect'), description: 'A configured provider.', missing: 'provider_not_found' },
  name: { schema: anId('konnect'), description: 'A configured provider.', missing: 'provider_not_found' },
  company_id: { schema: anId('42'), description: 'As the provider numbers its companies.' },
  location_id: { schema: anId('7'), description: 'As the provider numbers its locations.' },
  connection_id: { schema: aUuid, description: 'The id of a connection.', missing: 'connection_not_found' },
  client_id: { schema: aUuid, description: 'The id of a client.', missing: 'client_not_found' },
  receiver: {
    schema: anId('ops.example'),
    description: 'The name of a receiver, or the host of its address.',
    missing: 'not_found',
  },
  key_id: { schema: aUuid, description: 'The id of a data key.', missing: 'key_not_found' },
  session_id: {
    schema: { type: 'string', pattern: RANDOM_ID.source, examples: ['3uJwC0PzRkq1hE9mXv2dTg'] },
    description: 'As POST /v1/sessions answered it.',
    missing: 'session_not_found',
  },
};

/** Throws where a path has a parameter that nobody has described. */
function pathParameter(name: string): PathParameter {
  const known = IN_PATH[name];
  if (!known) throw new Error(`nothing describes {${name}}`);
  return known;
}

/** The parameters of a route, in its path and in its query. */
export function parametersOf(route: Route, schemas: Schemas): object[] {
  const inPath = route.parameters.map((name) => {
    const { schema, description } = pathParameter(name);
    return { name, in: 'path', required: true, description, schema };
  });
  return [...inPath, ...companyOfSession(route), ...queryParameters(route.reading, schemas)];
}

/** The answers of a route to ids that lead to nothing. */
export function missingCodes({ parameters }: Route): ProblemCode[] {
  return parameters.flatMap((name) => pathParameter(name).missing ?? []);
}

/** A session's id alone does not say whose it is, so that a caller has to. */
function companyOfSession({ parameters }: Route): object[] {
  if (!parameters.includes('provider') || !parameters.includes('session_id')) return [];
  return [
    {
      name: 'company_id',
      in: 'query',
      required: true,
      description: 'Whose session it is.',
      schema: anId('42'),
    },
  ];
}

function queryParameters({ query }: Reading, schemas: Schemas): object[] {
  if (!query) return [];
  const { properties, required = [] } = schemas.query(query);
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema,
  }));
}
