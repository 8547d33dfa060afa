/** The JSON schema that this value, and values like it, are written by. */
export function schemaOf(value: unknown): object {
  if (value === null) return { type: 'null' };
  if (Array.isArray(value)) return { type: 'array', items: value.length > 0 ? schemaOf(value[0]) : {} };
  if (typeof value === 'object') {
    const properties = Object.entries(value).map(([name, of]) => [name, schemaOf(of)]);
    return { type: 'object', properties: Object.fromEntries(properties) as object };
  }
  return { type: typeof value };
}
