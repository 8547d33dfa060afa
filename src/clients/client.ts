import type { Workload } from '../config/client-shape.js';
import type { Permission } from '../shared/permission.js';

/** Somebody who may call, without any of its keys. */
export interface Client {
  readonly id: string;
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly workload: Workload | null;
  /** CLIENTS_FILE says what it may do, and nobody else. */
  readonly fromFile: boolean;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly createdBy: string;
  readonly createdAt: Date;
}

/** A key of a client: everything but the key. */
export interface ClientKey {
  readonly id: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt: Date | null;
}
