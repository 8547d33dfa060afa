import type { Subject } from '../shared/ids.js';

/** What a caller may be permitted to do. */
export type Action =
  | 'token:read'
  | 'token:report'
  | 'token:read-personal'
  | 'token:read-session'
  | 'connection:read'
  | 'connection:write'
  | 'connection:renew'
  | 'provider:admin';

/** Whoever sent a request, once it has proven to be that. */
export interface Caller {
  /** Stands in logs and limits; never the key. */
  readonly id: string;
  /** May it do this to the resource (`konnect/companies/42`; `**` for what has none)? */
  permits(action: Action, resource: string): boolean;
}

/** What a permission is about, as it is written. */
export function resourceOf({ provider, companyId, locationId }: Subject): string {
  const company = `${provider}/companies/${companyId}`;
  return locationId === null ? company : `${company}/locations/${locationId}`;
}
