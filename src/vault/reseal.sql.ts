import type { Statement } from '../database/database.js';
import { keyColumnOf, type SealedTable } from './sealed-tables.js';

/** Rows of one table that are sealed by the same keys: one key a sealed column, null where nothing lies there. */
export interface Alike {
  readonly table: SealedTable;
  readonly keys: readonly (string | null)[];
}

/**
 * Rows that are sealed by just these keys, found by the index, whatever statistics say: an equality would let it read through the
 * whole table for a key that has sealed nearly everything until a moment ago. $1 ids to leave out.
 */
function foundBy({ table: { name, columns }, keys }: Alike, place: () => string): string {
  const conditions = columns.map((column, index) => {
    const at = keys[index] === null ? undefined : place();
    return at ? `${keyColumnOf(column)} between ${at} and ${at}` : `${keyColumnOf(column)} is null`;
  });
  return `from ${name} where ${conditions.join(' and ')} and id <> all ($1::uuid[])
          order by ${columns.map(keyColumnOf).join(', ')}`;
}

/** How statements name the keys that they are given, from $`first` on. */
function placesFrom(first: number): () => string {
  let next = first;
  return () => `$${next++}::uuid`;
}

/** Which of these kinds of rows there are, by their place: one step down an index each, however many rows that are. Then the keys. */
export function thereStatement(kinds: readonly Alike[]): Statement {
  const place = placesFrom(2);
  const looks = kinds.map((kind, index) => `(select ${index} as at ${foundBy(kind, place)} limit 1)`);
  return { text: looks.join(' union all ') };
}

/** Rows of this kind. $1 ids to leave out, $2 how many, $3 how many to pass over; then the keys. */
export function pickStatement(kind: Alike): Statement {
  const { columns, versions } = kind.table;
  return {
    text: `select id, provider, company_id as "companyId",
             array[${columns.join(', ')}] as sealed,
             array[${versions.join(', ')}]::integer[] as versions
           ${foundBy(kind, placesFrom(4))} limit $2 offset $3`,
  };
}

/** The keys as those statements take them. */
export function keysOf(kinds: readonly Alike[]): string[] {
  return kinds.flatMap(({ keys }) => keys.filter((key) => key !== null));
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
