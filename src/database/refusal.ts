import { ConfigurationError } from '../config/mistakes.js';
import type { DatabaseAddress } from './address.js';

/** SQLSTATEs that trying again does not mend: wrong user or password, no such database, a right that is lacking, somebody else's database. */
const REFUSALS: Readonly<Record<string, (url: string) => string>> = {
  '28P01': (url) => `the password in ${url} is refused`,
  '28000': (url) => `the user in ${url} may not connect`,
  '3D000': (url) => `the database in ${url} does not exist`,
  '42501': (url) =>
    `the user in ${url} lacks a right: it must own the database, or be granted CREATE on its schema`,
  '42P01': (url) => `${url} leads to a database without the broker's tables: is it the right one?`,
};

/** In the words of PgBouncer, under a code that stands for much else. */
const UNSUPPORTED = /^unsupported startup parameter[^:]*: (\w+)/;

/** The error as the operator's to mend, where the database refuses us for good; any other as it is. */
export function explainRefusal(error: unknown, address: Pick<DatabaseAddress, 'variable'> = {}): unknown {
  const { code = '', message = '' } = (error ?? {}) as { code?: string; message?: string };
  const { variable = 'DATABASE_URL' } = address;
  const parameter = UNSUPPORTED.exec(message)?.[1];
  if (parameter !== undefined) return new ConfigurationError([refusedParameter(variable, parameter)]);
  const refusal = REFUSALS[code];
  return refusal === undefined ? error : new ConfigurationError([refusal(variable)]);
}

function refusedParameter(variable: string, parameter: string): string {
  const remedy =
    parameter === 'statement_timeout'
      ? 'set DATABASE_NAMED_STATEMENTS=off and DATABASE_DIRECT_URL'
      : 'take it out of the URL';
  return `${variable} leads to a pooler that refuses ${parameter}: ${remedy} (docs/operations.md)`;
}
