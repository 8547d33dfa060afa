import type { Action, Caller } from '../http/caller.js';
import type { Permissions } from '../shared/permission.js';
import type { KnownClient } from './client-directory.js';

/** A request as the caller in it is known by. Whoever has hung up has no address any more, which Fastify does not say. */
interface Sender {
  readonly ip: string | undefined;
  readonly id: string;
}

/** A client in one request. */
export class RequestCaller implements Caller {
  readonly id: string;
  readonly keyId: string | null;
  readonly permissions: Permissions;
  readonly sourceIp: string | null;
  readonly requestId: string;

  constructor({ id, keyId, permissions }: KnownClient, { ip, id: requestId }: Sender) {
    this.id = id;
    this.keyId = keyId;
    this.permissions = permissions;
    this.sourceIp = ip ?? null;
    this.requestId = requestId;
  }

  permits(action: Action, resource: string): boolean {
    return this.permissions.permits(action, resource);
  }
}
