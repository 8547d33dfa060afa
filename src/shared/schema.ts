import 'reflect-metadata';

/** A JSON Schema (2020-12), which is what OpenAPI 3.1 describes with; a class in it stands for that class's schema. */
export type Schema = Readonly<Record<string, unknown>>;

/** A class whose fields are described. */
export type Shape = abstract new (...none: never[]) => object;

export function text(example: string): Schema {
  return { type: 'string', examples: [example] };
}

export function uuid(example = '7f8c1f7e-3d0a-4a5e-9a53-0d6a2a1c9b10'): Schema {
  return { type: 'string', format: 'uuid', examples: [example] };
}

export function time(example = '2026-11-21T23:59:00.000Z'): Schema {
  return { type: 'string', format: 'date-time', examples: [example] };
}

export function whole(example: number, minimum = 0): Schema {
  return { type: 'integer', minimum, examples: [example] };
}

export function number(example: number): Schema {
  return { type: 'number', examples: [example] };
}

export function flag(example: boolean): Schema {
  return { type: 'boolean', examples: [example] };
}

/** One of these texts; the first is the example. */
export function oneOf(values: readonly string[]): Schema {
  return { type: 'string', enum: [...values], examples: [values[0]] };
}

export function list(items: Schema | Shape, ...example: readonly unknown[]): Schema {
  return { type: 'array', items, ...(typeof items === 'function' ? {} : { examples: [example] }) };
}

/** The same, or null; the example is null where that is what a reader should see. */
export function nullable(schema: Schema | Shape, isExample = false): Schema {
  const example = isExample ? { examples: [null] } : {};
  if (typeof schema === 'function' || '$ref' in schema)
    return { anyOf: [schema, { type: 'null' }], ...example };
  const { type, enum: values } = schema;
  const orNull = Array.isArray(values) ? { enum: [...(values as unknown[]), null] } : {};
  return { ...schema, type: [type, 'null'], ...orNull, ...example };
}

const FIELDS = 'schema:fields';

/** One field of a shape: of a body or a query what its rules do not tell, of an answer all. */
export const Field = (schema: Schema | Shape, description?: string): PropertyDecorator =>
  note(schema, description, true);

/** A field that an answer may lack. */
export const OptionalField = (schema: Schema | Shape, description?: string): PropertyDecorator =>
  note(schema, description, false);

export interface NotedField {
  readonly schema: Schema | Shape;
  readonly description?: string;
  readonly required: boolean;
}

function note(schema: Schema | Shape, description: string | undefined, required: boolean): PropertyDecorator {
  return (prototype, name) => {
    const noted: NotedField = { schema, required, ...(description === undefined ? {} : { description }) };
    // A subclass begins with what it inherits.
    Reflect.defineMetadata(FIELDS, { ...fieldsOf(prototype), [name]: noted }, prototype);
  };
}

/** The fields that a shape notes, those that it inherits first. */
export function fieldsOf(prototype: object): Readonly<Record<string, NotedField>> {
  return (Reflect.getMetadata(FIELDS, prototype) ?? {}) as Record<string, NotedField>;
}
