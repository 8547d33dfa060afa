import type { DescribedApi, Described } from './described-api.js';
import type { Json } from './http.js';

const UUID = '00000000-0000-4000-8000-000000000000';

/** The address of an operation, with ids that are well-formed and lead to nothing. */
export function pathOf({ path, parameters }: Described, provider: string): string {
  const uuids = path.replace(/\{(connection|client|key)_id\}/g, UUID);
  const url = uuids.replace(/\{(provider|name)\}/g, provider).replace(/\{\w+\}/g, '42');
  const needed = parameters.filter((it) => it.in === 'query' && it.required).map(({ name }) => `${name}=42`);
  return [url, ...(needed.length > 0 ? [needed.join('&')] : [])].join('?');
}

/** A value of this schema: its example, or what there always is. */
export function valueOf(api: DescribedApi, schema: Json): unknown {
  const { $ref: reference, examples, enum: values, type, properties = {}, required = [] } = schema;
  if (reference !== undefined) return valueOf(api, api.resolve(schema)[1]);
  if (Array.isArray(examples)) return examples[0] === '…' ? 'test-secret-input' : (examples[0] as unknown);
  if (Array.isArray(values)) return values[0] as unknown;
  const main: unknown = [type].flat()[0];
  if (main === 'array') return [valueOf(api, schema['items'] as Json)];
  if (main === 'integer' || main === 'number') return schema['minimum'] ?? 1;
  if (main === 'boolean') return false;
  if (main !== 'object') return 'x';
  const of = properties as Record<string, Json>;
  return Object.fromEntries((required as string[]).map((name) => [name, valueOf(api, of[name] ?? {})]));
}

/** Values of which every field refuses most. */
export const OF_ANY_TYPE = [
  ...['', 'x'.repeat(20_000), 'a\nb'],
  ...[12.5, -1, true],
  ...[[], [[]], [{}], [7], ['x'.repeat(20_000)]],
  ...[{}, { a: 1 }],
];

/** What lies just beyond the bounds of a schema. */
export function valuesBeyond(api: DescribedApi, schema: Json): unknown[] {
  const { maxLength, maxItems, minimum, maximum, exclusiveMinimum, items } = schema;
  return [
    ...(maxLength === undefined ? [] : ['x'.repeat(Number(maxLength) + 1)]),
    ...(maxItems === undefined
      ? []
      : [Array(Number(maxItems) + 1).fill(valueOf(api, (items ?? {}) as Json))]),
    ...(minimum === undefined ? [] : [Number(minimum) - 1]),
    ...(exclusiveMinimum === undefined ? [] : [Number(exclusiveMinimum)]),
    ...(maximum === undefined ? [] : [Number(maximum) + 1]),
  ];
}

/** The fields of a schema that may be as long, as large or as many as they like. */
export function unboundedIn(api: DescribedApi, schema: Json, at: string): string[] {
  const { $ref: reference, type, properties, items, enum: values, format, pattern, anyOf } = schema;
  if (reference !== undefined) return unboundedIn(api, api.resolve(schema)[1], at);
  if (values !== undefined) return [];
  if (Array.isArray(anyOf)) return (anyOf as Json[]).flatMap((each) => unboundedIn(api, each, at));
  switch ([type].flat()[0]) {
    case 'boolean':
    case 'null':
      return [];
    case 'object':
      if (schema['additionalProperties'] !== false) return [at];
      return Object.entries((properties ?? {}) as Record<string, Json>).flatMap(([name, each]) =>
        unboundedIn(api, each, `${at}.${name}`),
      );
    case 'array':
      return schema['maxItems'] === undefined ? [at] : unboundedIn(api, (items ?? {}) as Json, `${at}[]`);
    case 'integer':
      return schema['maximum'] === undefined ? [at] : [];
    case 'string': {
      const isShort = format === 'uuid' || /\{1,\d+\}\$$/.test(String(pattern));
      return schema['maxLength'] !== undefined || isShort ? [] : [at];
    }
    default:
      return [at];
  }
}
