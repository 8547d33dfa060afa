import type { Action, Caller } from '../../src/http/caller.js';
import { Permissions } from '../../src/shared/permission.js';

/** A caller for what takes one directly, without a request. */
export function callerWho(permits: (action: Action, resource: string) => boolean): Caller {
  const nobody = { id: 'test', keyId: null, sourceIp: null, requestId: null };
  return { ...nobody, permits, permissions: new Permissions([]) };
}
