import type { Permissions } from '../shared/permission.js';

/** A condition on connections, and the values of its parameters. */
export interface Condition {
  readonly text: string;
  readonly values: readonly string[];
}

/** `{provider}/companies/{id}` has three segments, one of its locations two more. */
const COMPANY = 3;

/**
 * True for the connections `c` that permissions allow to be read. Each pattern is a condition of its own on whole columns,
 * so that a caller of one company is answered by its index.
 *
 * @param next the number of the first parameter that is free
 */
export function readable(permissions: Permissions, next: number): Condition {
  const values: string[] = [];
  const equals = (column: string, segment: string | undefined): string[] => {
    if (segment === undefined || segment === '*') return [];
    values.push(segment);
    return [`c.${column} = $${next + values.length - 1}`];
  };
  const conditions = permissions.patternsOf('connection:read').map(({ segments, below }) => {
    const [provider, , company, , location] = segments;
    const isOfLocations = below ? segments.length >= COMPANY : segments.length > COMPANY;
    const level = isOfLocations ? ['c.location_id is not null'] : below ? [] : ['c.location_id is null'];
    return [
      ...equals('provider', provider),
      ...equals('company_id', company),
      ...equals('location_id', location),
      ...level,
    ].join(' and ');
  });
  if (conditions.includes('')) return { text: 'true', values: [] };
  return { text: conditions.map((it) => `(${it})`).join(' or ') || 'false', values };
}
