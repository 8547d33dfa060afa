import { textField } from '../fields.js';

/** The scopes of a query or body, separated by spaces or commas; null where there are none. */
export function scopesOf(fields: unknown): readonly string[] | null {
  const text = textField(fields, 'scope');
  if (text === null) return null;
  return [...new Set(text.split(/[\s,]+/).filter((scope) => scope !== ''))];
}
