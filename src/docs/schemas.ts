import { targetConstructorToSchema } from 'class-validator-jsonschema';
import { listOffers, OFFER, pageSchema, type PageOf, type Reading } from '../http/description.js';
import { ID } from '../shared/ids.js';
import { fieldsOf, nullable, type Schema, type Shape } from '../shared/schema.js';

/** Where a description keeps what it names. */
const PLACE = '#/components/schemas/';

type Properties = Record<string, Schema>;

interface Ruled {
  readonly properties?: Properties;
  readonly required?: readonly string[];
}

/** The rules that class-validator-jsonschema does not know, or says in the words of OpenAPI 3.0. */
const RULES: Parameters<typeof targetConstructorToSchema>[1] = {
  additionalConverters: {
    isId: { type: 'string', pattern: ID.source },
    isIso8601: { type: 'string', format: 'date-time' },
    // Rules of our own that only one shape has, and shapes in shapes: their fields note what they are.
    customValidation: {},
    nestedValidation: {},
  },
};

/** The schemas of a description, each class under its own name: made from its rules and from what its fields note. */
export class Schemas {
  readonly #shapes = new Map<string, Shape>();
  readonly #made = new Map<string, Schema>();

  /** All that were asked for so far. */
  get all(): Record<string, Schema> {
    return Object.fromEntries([...this.#made].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** A reference to a class's schema. Two classes of one name would be taken for each other, and are an error. */
  of(shape: Shape): Schema {
    const { name } = shape;
    const known = this.#shapes.get(name);
    if (known !== undefined && known !== shape) throw new Error(`two classes are called ${name}`);
    if (known === undefined) {
      this.#shapes.set(name, shape);
      this.#made.set(name, this.#make(shape));
    }
    return { $ref: `${PLACE}${name}` };
  }

  page(page: PageOf): Schema {
    return this.#refer(pageSchema(page)) as Schema;
  }

  /** The body of a route; one of several where each kind of provider has its own. */
  body(body: NonNullable<Reading['body']>): Schema {
    if (body !== OFFER) return this.of(body);
    return { anyOf: [...listOffers()].map(([shape, whom]) => ({ ...this.of(shape), description: whom })) };
  }

  /** Whether there must be a body, be it an empty object. */
  needsBody(schema: Schema): boolean {
    const { $ref: place } = schema;
    return typeof place !== 'string' || this.#made.get(place.slice(PLACE.length))?.['required'] !== undefined;
  }

  /** What a query may hold, by name, and what it must. */
  query(shape: Shape): Ruled & { readonly properties: Properties } {
    const ruled = rulesOf(shape);
    return { properties: this.#propertiesOf(shape, ruled), required: requiredOf(shape, ruled) };
  }

  /** What stands for a schema in an example: the fields that are always there, or all where none is. */
  exampleOf(schema: Schema): unknown {
    const { $ref: place, anyOf, examples, enum: values, items, properties, required } = schema;
    if (typeof place === 'string') return this.exampleOf(this.#made.get(place.slice(PLACE.length)) ?? {});
    if (Array.isArray(anyOf)) return this.exampleOf(anyOf[0] as Schema);
    if (Array.isArray(examples)) return examples[0] as unknown;
    if ('default' in schema) return schema['default'];
    if (Array.isArray(values)) return values[0] as unknown;
    if (items !== undefined) return [this.exampleOf(items as Schema)];
    const always = (required ?? Object.keys(properties ?? {})) as string[];
    return Object.fromEntries(
      always.map((name) => [name, this.exampleOf((properties as Properties)[name] ?? {})]),
    );
  }

  #make(shape: Shape): Schema {
    const ruled = rulesOf(shape);
    const isRead = ruled.properties !== undefined || listOffers().has(shape);
    const required = requiredOf(shape, ruled);
    const properties = Object.entries(this.#propertiesOf(shape, ruled)).map(([name, schema]) => [
      name,
      // IsOptional lets null pass as it does what is not there.
      isRead && !required.includes(name) ? nullable(schema) : schema,
    ]);
    return {
      type: 'object',
      ...(required.length > 0 && { required }),
      properties: Object.fromEntries(properties) as Properties,
      ...(isRead && { additionalProperties: false }),
    };
  }

  #propertiesOf({ prototype }: Shape, { properties = {} }: Ruled): Properties {
    const noted = fieldsOf(prototype as object);
    const names = [...new Set([...Object.keys(properties), ...Object.keys(noted)])];
    return Object.fromEntries(
      names.map((name) => {
        const { schema, description } = noted[name] ?? {};
        const said = this.#refer(schema ?? {}) as Schema;
        const whole = { ...properties[name], ...said, ...(description !== undefined && { description }) };
        if (!('type' in whole || '$ref' in whole || 'anyOf' in whole))
          throw new Error(`nothing says what ${name} is`);
        return [name, whole];
      }),
    );
  }

  /** A schema with every class in it replaced by a reference. */
  #refer(value: unknown): unknown {
    if (typeof value === 'function') return this.of(value as Shape);
    if (Array.isArray(value)) return value.map((each) => this.#refer(each));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.#refer(each)]));
  }
}

function rulesOf(shape: Shape): Ruled {
  return targetConstructorToSchema(shape, RULES) as Schema;
}

/** By its rules where it has some: a field that is only noted is then known to no rule, and free to come. */
function requiredOf({ prototype }: Shape, { properties, required = [] }: Ruled): readonly string[] {
  if (properties !== undefined) return required;
  const noted = Object.entries(fieldsOf(prototype as object));
  return noted.filter(([, field]) => field.required).map(([name]) => name);
}
