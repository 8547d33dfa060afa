/** The text of one parameter of a query or body; null when it is absent, empty, repeated or no plain value. */
export function textField(fields: unknown, name: string): string | null {
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, name)) return null;
  const value = (fields as Record<string, unknown>)[name];
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

/** The part of an `Authorization` header after its scheme; null when it is absent or of another scheme. */
export function credentialsOf(header: string | undefined, scheme: 'Basic' | 'Bearer'): string | null {
  const space = header?.indexOf(' ') ?? -1;
  if (header === undefined || space < 0) return null;
  if (header.slice(0, space).toLowerCase() !== scheme.toLowerCase()) return null;
  return header.slice(space + 1).trim();
}
