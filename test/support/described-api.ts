import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { ask, type Answer, type Json } from './http.js';

interface Media {
  readonly schema: Json;
  readonly example?: unknown;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security: readonly Json[];
  readonly 'x-listeners': readonly string[];
  readonly 'x-permission'?: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: 'path' | 'query';
    readonly required: boolean;
    readonly schema: Json;
  }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, Media> };
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, Media> }>>;
}

/** An operation and where it is. */
export interface Described extends Operation {
  /** In upper case. */
  readonly method: string;
  readonly path: string;
}

/** The API as it describes itself, to hold real answers against. */
export class DescribedApi {
  readonly operations: readonly Described[];
  readonly schemas: Readonly<Record<string, Json>>;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  /** By the schema's text: making one takes longer than the answer that it is held against. */
  readonly #validators = new Map<string, ValidateFunction>();

  private constructor(readonly document: Json) {
    const paths = document['paths'] as Record<string, Record<string, Operation>>;
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        ...operation,
        method: method.toUpperCase(),
        path,
      })),
    );
    this.schemas = (document['components'] as { schemas: Record<string, Json> }).schemas;
    formats.default(this.#ajv);
    this.#ajv.addSchema({ $id: 'api', components: { schemas: closed(this.schemas) } });
  }

  static async of(broker: { api: string }): Promise<DescribedApi> {
    return new DescribedApi((await ask('GET', `${broker.api}/openapi.json`)).body);
  }

  find(operationId: string): Described {
    const found = this.operations.find((it) => it.operationId === operationId);
    if (!found) throw new Error(`no operation is called ${operationId}`);
    return found;
  }

  /** The name and the schema that a reference leads to. */
  resolve(reference: Json): [name: string, schema: Json] {
    const name = String(reference['$ref']).replace(/^.*\//, '');
    return [name, this.schemas[name] ?? {}];
  }

  /** What is wrong with a value that should be of this schema; nothing where all is well. */
  errorsOf(schema: Json, value: unknown): string[] {
    const validate = this.#compile(schema);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      (error) => `${error.instancePath} ${error.message ?? ''} ${JSON.stringify(error.params)}`,
    );
  }

  /** What an answer is that its operation's description does not say. */
  liesAbout(operationId: string, { status, headers, body }: Answer): string[] {
    const response = this.find(operationId).responses[status];
    if (!response) return [`${status} is not described`];
    const type = (headers.get('content-type') ?? '').replace(/;.*$/, '');
    const { content } = response;
    if (!content) return [];
    const media = content[type];
    if (!media) return [`${status} ${type} is not described`];
    return /json$/.test(type) && operationId !== 'docsOpenapi' ? this.errorsOf(media.schema, body) : [];
  }

  #compile(schema: Json): ValidateFunction {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"api#/components');
    const validate = this.#validators.get(text) ?? this.#ajv.compile(JSON.parse(text) as Json);
    this.#validators.set(text, validate);
    return validate;
  }
}

/** The same schemas, to which nothing may come that they do not name: a caller has to bear more, a test need not. */
function closed(schemas: Readonly<Record<string, Json>>): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, { additionalProperties: false, ...schema }]),
  );
}
