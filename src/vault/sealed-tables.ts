/**
 * Where something sealed lies: of each table the columns, each of which has its data key beside it, in `{column}_key`, as
 * a trigger of the database writes it. Every table has `id`, `provider` and `company_id`, to which what is sealed is bound.
 * A test compares this with the schema.
 */
export interface SealedTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** What must be as it was when the row was read, beside what is sealed itself. */
  readonly versions: readonly string[];
}

export const SEALED_TABLES: readonly SealedTable[] = [
  {
    name: 'connections',
    columns: ['sealed_token', 'sealed_grant'],
    versions: ['token_version', 'grant_version'],
  },
  { name: 'online_sessions', columns: ['sealed_token'], versions: [] },
  { name: 'owed_revocations', columns: ['sealed_secrets'], versions: [] },
];

/** The column that names the data key of a sealed one. */
export function keyColumnOf(column: string): string {
  return `${column}_key`;
}
