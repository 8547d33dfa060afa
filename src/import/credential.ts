import { idFromJson } from '../shared/ids.js';
import { Secret } from '../shared/secret.js';
import { mistake, type Found, type Line } from './entry.js';

/** The columns of a list of Konnect credentials. */
export const COLUMNS = ['company_id', 'location_id', 'username', 'password'] as const;
/** A list without locations may leave theirs out. */
export const NEEDED = ['company_id', 'username', 'password'] as const;

/** As the broker takes them. */
const LONGEST = { username: 1_000, password: 4_000 };

/** What one of the list is, and what is wrong with it. No message quotes a value. */
export function readCredential(line: Line, row: Readonly<Record<string, unknown>>, verify: boolean): Found {
  const unknown = Object.keys(row).find((name) => !(COLUMNS as readonly string[]).includes(name));
  if (unknown !== undefined)
    return mistake(line, `holds a field that is not known; there are ${COLUMNS.join(', ')}`);
  const { company_id: company, location_id: location, username, password } = row;
  const companyId = idFromJson(company);
  if (companyId === undefined) return mistake(line, 'company_id must be 1 to 64 of A-Z a-z 0-9 . _ -');
  const hasLocation = location !== undefined && location !== null && location !== '';
  const locationId = hasLocation ? idFromJson(location) : null;
  if (locationId === undefined)
    return mistake(line, 'location_id must be 1 to 64 of A-Z a-z 0-9 . _ -, or empty');
  if (!isText(username, LONGEST.username))
    return mistake(line, `username must be 1 to ${LONGEST.username} characters`);
  if (!isText(password, LONGEST.password))
    return mistake(line, `password must be 1 to ${LONGEST.password} characters`);
  const secret = new Secret(password);
  const entry = {
    line,
    companyId,
    locationId,
    isGrant: false,
    endsAt: null,
    offer: () => ({ username, password: secret.reveal(), ...(verify ? {} : { verify: false }) }),
  };
  return { kind: 'entry', entry };
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= longest;
}
