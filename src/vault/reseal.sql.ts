import type { Statement } from '../database/database.js';
import { keyColumnOf, type SealedTable } from './sealed-tables.js';

/** Rows of `table` that are sealed by just these keys. $1 ids to leave out, $2 how many, $3 how many to pass over; then the keys. */
export function pickStatement(
  { name, columns, versions }: SealedTable,
  keys: readonly (string | null)[],
): Statement {
  const conditions = columns.map((column, index) =>
    keys[index] === null ? `${keyColumnOf(column)} is null` : `${keyColumnOf(column)} = $${index + 4}::uuid`,
  );
  // A parameter that is in no condition still has to have a type.
  const unused = keys.flatMap((key, index) => (key === null ? [`$${index + 4}::uuid is null`] : []));
  return {
    text: `select id, provider, company_id as "companyId",
             array[${columns.join(', ')}] as sealed,
             array[${versions.join(', ')}]::integer[] as versions
           from ${name} where ${[...conditions, ...unused].join(' and ')} and id <> all ($1::uuid[])
           limit $2 offset $3`,
  };
}

/**
 * Puts what was sealed anew in the place of what it was made from, and of nothing else: the very bytes, and the versions, must
 * be those that were read, or somebody has changed the row meanwhile, and what was read is spent. A row that
 * is locked is left for later, so that it holds up nobody. The lease and its epoch stay as they are: whoever renews the row
 * meanwhile keeps what it brings, under the fence of its claim. $1 ids; then of each column the former values, of each
 * column the new ones, and the versions.
 */
export function resealStatement({ name, columns, versions }: SealedTable): Statement {
  const given = [
    ...columns.map((column) => ({ as: `former_${column}`, type: 'bytea' })),
    ...columns.map((column) => ({ as: `new_${column}`, type: 'bytea' })),
    ...versions.map((column) => ({ as: column, type: 'integer' })),
  ];
  const unchanged = [
    ...columns.map((column) => `r.${column} is not distinct from given.former_${column}`),
    ...versions.map((column) => `r.${column} = given.${column}`),
  ];
  return {
    name: `${name}_reseal`,
    text: `with given as materialized (
             select * from unnest($1::uuid[], ${given.map(({ type }, index) => `$${index + 2}::${type}[]`).join(', ')})
               as t (id, ${given.map(({ as }) => as).join(', ')})),
           free as materialized (select id from ${name} where id = any ($1::uuid[]) for update skip locked)
           update ${name} r set ${columns.map((column) => `${column} = given.new_${column}`).join(', ')}
           from given join free on free.id = given.id
           where r.id = given.id and ${unchanged.join(' and ')}
           returning r.id`,
  };
}
