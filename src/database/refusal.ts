import { ConfigurationError } from '../config/mistakes.js';

/** SQLSTATEs that trying again does not mend: wrong user or password, no such database, a right that is lacking. */
const REFUSALS: Readonly<Record<string, string>> = {
  '28P01': 'the password in DATABASE_URL is refused',
  '28000': 'the user in DATABASE_URL may not connect',
  '3D000': 'the database in DATABASE_URL does not exist',
  '42501':
    'the user in DATABASE_URL lacks a right: it must own the database, or be granted CREATE on its schema',
};

/** The error as the operator's to mend, where the database refuses us for good; any other as it is. */
export function explainRefusal(error: unknown): unknown {
  const refusal = REFUSALS[(error as { code?: string } | null)?.code ?? ''];
  return refusal === undefined ? error : new ConfigurationError([refusal]);
}
