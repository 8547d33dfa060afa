/** What a caller may be permitted to do. */
export type Action =
  'token:read' | 'token:report' | 'connection:read' | 'connection:write' | 'connection:renew';

/** Whoever sent a request, once it has proven to be that. */
export interface Caller {
  /** Stands in logs and limits; never the key. */
  readonly id: string;
  /** May it do this to the resource (`konnect/companies/42`; `**` for what has none)? */
  permits(action: Action, resource: string): boolean;
}
