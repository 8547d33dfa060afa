import { invalid } from './problem.js';

/** 1 to 64 of `A-Z a-z 0-9 . _ -`, but not `.` or `..`, which a path would swallow. */
export const ID = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;
/** The same as a segment of a path, within another expression. */
export const ID_IN_PATH = String.raw`(?!\.{1,2}(?:[/?]|$))[A-Za-z0-9._-]{1,64}(?=[/?]|$)`;

/** What a connection is a connection of. `locationId` null is the company's own, which no location ever stands in for. */
export interface Subject {
  readonly provider: string;
  readonly companyId: string;
  readonly locationId: string | null;
}

export function isId(value: string): boolean {
  return ID.test(value);
}

/** An id from a path or a query, as text. Throws `invalid_request` naming the field. */
export function parseId(field: string, value: unknown): string {
  if (typeof value === 'string' && isId(value)) return value;
  if (value === undefined) throw invalid(field, 'is missing');
  throw invalid(field, 'must be 1 to 64 of A-Z a-z 0-9 . _ - and not "." or ".."');
}

/** An id from JSON: a text, or a non-negative safe integer in its decimal form; undefined where it is neither. */
export function idFromJson(value: unknown): string | undefined {
  const text = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? String(value) : value;
  return typeof text === 'string' && isId(text) ? text : undefined;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for a UUID, the form in which the broker hands out its own ids. */
export function isUuid(value: string): boolean {
  return UUID.test(value);
}

/** The broker's random ids, in base64url. */
export const RANDOM_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** True for what could be one of the broker's random ids in base64url. */
export function isRandomId(value: string): boolean {
  return RANDOM_ID.test(value);
}
