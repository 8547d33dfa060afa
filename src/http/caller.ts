import type { Actor } from '../shared/actor.js';
import type { Subject } from '../shared/ids.js';
import type { CallerClass } from '../telemetry/request-metrics.js';
import { EVERYTHING, type Action, type Permissions } from '../shared/permission.js';

export type { Action } from '../shared/permission.js';

/** Whoever sent a request, once it has proven to be that. */
export interface Caller extends Actor {
  /** May it do this to the resource (`konnect/companies/42`; `**` for what has none)? */
  permits(action: Action, resource: string): boolean;
  /** All that it holds. */
  readonly permissions: Permissions;
}

/** As far as metrics may tell who sent a request. */
export function classOf(caller: Caller | undefined): CallerClass {
  if (!caller) return 'none';
  if (caller.keyId === null) return 'workload';
  return caller.id === 'admin' ? 'admin' : 'key';
}

/** How permissions name a company or a location; `**` is for what is about neither. */
export function resourceOf(subject: Subject | undefined): string {
  if (!subject) return EVERYTHING;
  const company = `${subject.provider}/companies/${subject.companyId}`;
  return subject.locationId === null ? company : `${company}/locations/${subject.locationId}`;
}

/** Whoever sits before a browser, or sends what only its signature vouches for: nobody knows more than where it came from. */
export function sellerOf({ ip, id }: { readonly ip: string; readonly id: string }): Actor {
  return { id: 'seller', keyId: null, sourceIp: ip, requestId: id };
}
