import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { Caller } from '../http/caller.js';
import { Clock } from '../shared/clock.js';
import { Permissions, type Action, type Permission } from '../shared/permission.js';
import { invalid, Problem } from '../shared/problem.js';
import type { ClientDefinition } from '../config/client-shape.js';
import type { Client } from './client.js';
import { OVERLAP_S } from './client-shapes.js';
import { ClientStore, type KeyedClient, type NewKey } from './client.store.js';

/** How many clients a question looks at in one request, so many at a time: a few tenths of a second at the most. */
const MOST_LOOKED_AT = 1_000;
const BATCH = 500;
const UNIQUE_VIOLATION = '23505';

/** Who may call, and what: kept so that nobody gives, or takes, what it does not hold itself. */
@Injectable()
export class ClientService {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly store: ClientStore,
    private readonly clock: Clock,
  ) {}

  /** When this process takes it to be; for what people say of times. */
  get now(): Date {
    return this.clock.now();
  }

  /** Throws Problem `forbidden` for a permission that the caller lacks. */
  async create(
    definition: ClientDefinition,
    caller: Caller,
  ): Promise<{ client: Client; key: NewKey | undefined }> {
    refuseUnheld(caller, definition.permissions);
    try {
      return await this.store.create(definition, caller);
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
      throw invalid('workload', "is another client's already");
    }
  }

  /** Throws Problem `client_not_found`, or `forbidden` where the caller lacks a permission of the client. */
  async rotate(
    id: string,
    { overlapS = OVERLAP_S, expiresAt }: { overlapS?: number | undefined; expiresAt: Date | null },
    caller: Caller,
  ): Promise<{ client: KeyedClient; key: NewKey }> {
    const judge = (client: Client): void => {
      refuseUnheld(caller, client.permissions);
      if (client.workload)
        throw invalid('client_id', 'is a client for which a workload speaks: it has no key');
    };
    const rotated = await this.store.rotate(id, { overlapS, expiresAt }, judge, caller);
    if (!rotated) throw noSuchClient();
    return rotated;
  }

  /** As `rotate`; as long as there is a file, one that comes from it is deleted there. */
  async delete(id: string, caller: Caller): Promise<void> {
    const judge = (client: Client): void => {
      refuseUnheld(caller, client.permissions);
      if (client.fromFile && this.settings.clients)
        throw new Problem('forbidden', 'This client comes from CLIENTS_FILE: take it out there.');
    };
    if (!(await this.store.delete(id, judge, caller))) throw noSuchClient();
  }

  /**
   * In order of id; `question` leaves those that may do it now, of as many as one request looks at: there may be more after
   * a page that is not full, or empty.
   */
  async list(
    question: { action: Action; resource: string } | undefined,
    afterId: string | null,
    limit: number,
  ): Promise<{ items: KeyedClient[]; nextAfter: string | null }> {
    const items: KeyedClient[] = [];
    const batch = question ? BATCH : limit + 1;
    let after = afterId;
    for (let looked = 0; looked < MOST_LOOKED_AT; looked += batch) {
      const clients = await this.store.list(after, batch);
      for (const client of clients) {
        if (!question || this.#can(client, question)) {
          if (items.length === limit) return { items, nextAfter: after };
          items.push(client);
        }
        after = client.id;
      }
      if (clients.length < batch) return { items, nextAfter: null };
    }
    return { items, nextAfter: after };
  }

  /** Somebody without a way in may do nothing. */
  #can(client: KeyedClient, { action, resource }: { action: Action; resource: string }): boolean {
    const hasEnded = client.expiresAt !== null && client.expiresAt <= this.clock.now();
    if (hasEnded || (!client.workload && client.keys.length === 0)) return false;
    return new Permissions(client.permissions).permits(action, resource);
  }
}

function refuseUnheld(caller: Caller, permissions: readonly Permission[]): void {
  const lacking = permissions.find((permission) => !caller.permissions.covers(permission));
  if (!lacking) return;
  const { action, resource } = lacking;
  throw new Problem('forbidden', `This caller does not hold ${action} on ${resource} itself.`);
}

function noSuchClient(): Problem {
  return new Problem('client_not_found', 'There is no such client; GET /v1/clients lists all.');
}
