import type { Subject } from '../shared/ids.js';

/** What a caller may be permitted to do. */
export type Action =
  | 'token:read'
  | 'token:read-session'
  | 'token:read-personal'
  | 'token:report'
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

/** How permissions name a company or a location; `**` is for what is about neither. */
export function resourceOf(subject: Subject | undefined): string {
  if (!subject) return '**';
  const company = `${subject.provider}/companies/${subject.companyId}`;
  return subject.locationId === null ? company : `${company}/locations/${subject.locationId}`;
}
