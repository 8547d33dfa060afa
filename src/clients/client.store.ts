import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AuditStore } from '../audit/audit.store.js';
import { Database, type Run } from '../database/database.js';
import type { Actor } from '../shared/actor.js';
import { CLIENT_SQL } from './client.sql.js';
import type { ClientDefinition, Workload } from '../config/client-shape.js';
import type { Client, ClientKey } from './client.js';
import { issueKey, type IssuedKey } from './service-key.js';

/** A client with the keys that it may use now. */
export interface KeyedClient extends Client {
  readonly keys: readonly ClientKey[];
}

/** A client as whoever calls in its name is checked. */
export interface FoundClient extends Client {
  /** Seconds until it, or the key, ends; null: never. */
  readonly leftS: number | null;
}

/** A key that was made just now. */
export interface NewKey {
  readonly issued: IssuedKey;
  readonly row: ClientKey;
}

/** Days after which a key ends, unless it is said otherwise. */
const KEY_DAYS = 90;

/** Clients and their keys, and what the trail says of their changes. Keys are stored as hashes. */
@Injectable()
export class ClientStore {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditStore,
  ) {}

  /** Undefined where there is no such key, or it or its client has ended. */
  async findByKey(keyId: string): Promise<(FoundClient & { hash: Buffer }) | undefined> {
    return (await this.database.run<FoundClient & { hash: Buffer }>(CLIENT_SQL.byKey, [keyId]))[0];
  }

  async findByWorkload({ issuer, subject }: Workload): Promise<FoundClient | undefined> {
    return (await this.database.run<FoundClient>(CLIENT_SQL.byWorkload, [issuer, subject]))[0];
  }

  async findById(id: string): Promise<KeyedClient | undefined> {
    const [row] = await this.database.run<KeyedClient>(CLIENT_SQL.byId, [id]);
    return row && withDates(row);
  }

  /** In order of id, at most `limit` of those after `afterId`. */
  async list(afterId: string | null, limit: number): Promise<KeyedClient[]> {
    return (await this.database.run<KeyedClient>(CLIENT_SQL.list, [afterId, limit])).map(withDates);
  }

  /** Makes a client; with a key, which ends when the client does, unless a workload speaks for it. */
  async create(
    definition: ClientDefinition,
    actor: Actor,
  ): Promise<{ client: Client; key: NewKey | undefined }> {
    return this.database.transaction(async (run) => {
      const client = await this.#insert(run, definition, false, actor);
      const key = definition.workload
        ? undefined
        : await this.#insertKey(run, client.id, definition.expiresAt, actor);
      return { client, key };
    });
  }

  /**
   * Gives the client another key, whose end is `expiresAt` (null: in 90 days); those that it has end after `overlapS` seconds.
   * `judge` gets the client, locked, and throws where it is not to be. Undefined where there is no such client.
   */
  async rotate(
    id: string,
    { overlapS, expiresAt }: { readonly overlapS: number; readonly expiresAt: Date | null },
    judge: (client: Client) => void,
    actor: Actor,
  ): Promise<{ client: KeyedClient; key: NewKey } | undefined> {
    return this.database.transaction(async (run) => {
      const [client] = await run<Client>(CLIENT_SQL.lock, [id]);
      if (!client) return undefined;
      judge(client);
      await run(CLIENT_SQL.endKeys, [id, overlapS]);
      const key = await this.#insertKey(run, id, expiresAt, actor);
      await this.#note(run, actor, 'rotated', id);
      const [rotated] = await run<KeyedClient>(CLIENT_SQL.byId, [id]);
      return rotated && { client: withDates(rotated), key };
    });
  }

  /** False where there is no such client; `judge` as above. */
  async delete(id: string, judge: (client: Client) => void, actor: Actor): Promise<boolean> {
    return this.database.transaction(async (run) => {
      const [client] = await run<Client>(CLIENT_SQL.lock, [id]);
      if (!client) return false;
      judge(client);
      await this.#remove(run, client, actor);
      await run(CLIENT_SQL.endKeys, [id, 0]);
      return true;
    });
  }

  /**
   * Makes the clients that come from the file what the file says: one that is not in it (any more) is gone, and the same one
   * again, with its keys, where it comes back within a day.
   */
  async reconcile(definitions: readonly ClientDefinition[], actor: Actor): Promise<void> {
    await this.database.transaction(async (run) => {
      await run(CLIENT_SQL.lockFile);
      const rows = await run<Client & { isGone: boolean }>(CLIENT_SQL.ofFile);
      const known = new Map(rows.map((client) => [client.name, client]));
      const named = new Set(definitions.map(({ name }) => name));
      // First, since one that comes may take the workload of one that goes, and one that changes that of another.
      for (const client of known.values())
        if (!named.has(client.name) && !client.isGone) await this.#remove(run, client, actor);
      const changed = definitions.flatMap((definition) => {
        const client = known.get(definition.name);
        return client && (client.isGone || !isSame(client, definition)) ? [{ client, definition }] : [];
      });
      await run(CLIENT_SQL.freeWorkloads, [changed.map(({ client }) => client.id)]);
      for (const { client, definition } of changed) {
        await this.#update(run, client, definition);
        await this.#note(run, actor, client.isGone ? 'restored' : 'changed', client.id);
      }
      for (const definition of definitions)
        if (!known.has(definition.name)) await this.#insert(run, definition, true, actor);
    });
  }

  /** Notes that keys were used, by their ids, each so many seconds ago. A later use that is known already stays. */
  async touchKeys(ago: ReadonlyMap<string, number>): Promise<void> {
    await this.database.run(CLIENT_SQL.touchKeys, [[...ago.keys()], [...ago.values()]]);
  }

  /** As `touchKeys`, for clients for which a workload speaks. */
  async touchClients(ago: ReadonlyMap<string, number>): Promise<void> {
    await this.database.run(CLIENT_SQL.touchClients, [[...ago.keys()], [...ago.values()]]);
  }

  async #insert(run: Run, definition: ClientDefinition, fromFile: boolean, actor: Actor): Promise<Client> {
    const { name, permissions, workload, expiresAt } = definition;
    const values = [randomUUID(), name, JSON.stringify(permissions), workload?.issuer, workload?.subject];
    const [client] = await run<Client>(CLIENT_SQL.insert, [...values, expiresAt, fromFile, actor.id]);
    if (!client) throw new Error('the client that was just made is gone');
    await this.#note(run, actor, 'created', client.id);
    return client;
  }

  async #insertKey(run: Run, clientId: string, expiresAt: Date | null, actor: Actor): Promise<NewKey> {
    const issued = issueKey();
    const values = [issued.id, clientId, Buffer.from(issued.hash, 'base64'), actor.id, expiresAt, KEY_DAYS];
    const [row] = await run<ClientKey>(CLIENT_SQL.insertKey, values);
    if (!row) throw new Error('the key that was just made is gone');
    return { issued, row };
  }

  async #update(run: Run, { id }: Client, definition: ClientDefinition): Promise<void> {
    const { permissions, workload, expiresAt } = definition;
    const values = [id, JSON.stringify(permissions), workload?.issuer, workload?.subject, expiresAt];
    await run(CLIENT_SQL.update, values);
    // A workload has none, also once it is none any more.
    if (workload) await run(CLIENT_SQL.endKeys, [id, 0]);
  }

  async #remove(run: Run, { id }: Client, actor: Actor): Promise<void> {
    await run(CLIENT_SQL.delete, [id]);
    await this.#note(run, actor, 'deleted', id);
  }

  async #note(run: Run, actor: Actor, reason: string, clientId: string): Promise<void> {
    const what = { action: 'client:admin', outcome: 'allowed', resource: `clients/${clientId}` } as const;
    await this.audit.write(run, { actor, ...what, reason });
  }
}

function isSame(client: Client, definition: ClientDefinition): boolean {
  const { permissions, workload, expiresAt } = client;
  const essence = (of: ClientDefinition): string =>
    JSON.stringify([
      of.permissions.map(({ action, resource }) => [action, resource]),
      of.workload && [of.workload.issuer, of.workload.subject],
      of.expiresAt,
    ]);
  return essence({ name: client.name, permissions, workload, expiresAt }) === essence(definition);
}

/** Times within JSON are texts. */
function withDates(row: KeyedClient): KeyedClient {
  const keys = row.keys.map((key) => ({
    ...key,
    createdAt: new Date(key.createdAt),
    expiresAt: new Date(key.expiresAt),
    lastUsedAt: key.lastUsedAt && new Date(key.lastUsedAt),
  }));
  return { ...row, keys };
}
