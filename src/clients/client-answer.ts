import type { Workload } from '../config/client-shape.js';
import type { Client, ClientKey } from './client.js';
import type { KeyedClient, NewKey } from './client.store.js';
import { ACTIONS, type Permission } from '../shared/permission.js';
import { Field, list, nullable, oneOf, OptionalField, text, time, uuid } from '../shared/schema.js';

class KeyAnswer {
  @Field(text('4f1c2a90b7d3e651'), "The key's public part.") readonly id!: string;
  @Field(text('admin')) readonly created_by!: string;
  @Field(time('2026-11-01T08:00:00.000Z')) readonly created_at!: string;
  @Field(time('2027-01-30T08:00:00.000Z')) readonly expires_at!: string;
  @Field(nullable(time())) readonly last_used_at!: string | null;
}

class PermissionAnswer implements Permission {
  @Field(oneOf([...ACTIONS, '*'])) readonly action!: Permission['action'];
  @Field(text('konnect/companies/42/**')) readonly resource!: string;
}

class WorkloadAnswer implements Workload {
  @Field(text('https://kubernetes.default.svc')) readonly issuer!: string;
  @Field(text('system:serviceaccount:shop:orders')) readonly subject!: string;
}

/** A client as callers see it; never with a key in it. */
export class ClientAnswer {
  @Field(uuid()) readonly id!: string;
  @Field(text('orders')) readonly name!: string;
  @Field(list(PermissionAnswer)) readonly permissions!: readonly Permission[];
  @Field(nullable(WorkloadAnswer, true)) readonly workload!: Workload | null;
  @Field(oneOf(['api', 'file']), '`file`: what it may do is changed in CLIENTS_FILE, and only there.')
  readonly source!: 'api' | 'file';
  @Field(nullable(time('2027-01-30T08:00:00.000Z'))) readonly expires_at!: string | null;
  @Field(nullable(time())) readonly last_used_at!: string | null;
  @Field(text('admin')) readonly created_by!: string;
  @Field(time('2026-11-01T08:00:00.000Z')) readonly created_at!: string;
  @Field(list(KeyAnswer), 'Those that may be used now.') readonly keys!: readonly KeyAnswer[];
}

/** A client with a key that was made just now: the only time that it is told. */
export class IssuedClientAnswer extends ClientAnswer {
  @OptionalField(text('tbk_…'), 'A secret, told this once; a workload has none.') readonly key?: string;
}

export function answerClient(client: KeyedClient): ClientAnswer {
  return shape(client, client.keys);
}

/** @param key undefined where a workload speaks for the client */
export function answerIssued(
  client: Client & Partial<KeyedClient>,
  key: NewKey | undefined,
): IssuedClientAnswer {
  const answer = shape(client, client.keys ?? (key ? [key.row] : []));
  if (!key) return answer;
  // When the service has to have another key by, or is no client any more.
  const ends = [key.row.expiresAt, client.expiresAt ?? key.row.expiresAt].map((end) => end.getTime());
  return { ...answer, expires_at: new Date(Math.min(...ends)).toISOString(), key: key.issued.key.reveal() };
}

function shape(client: Client, keys: readonly ClientKey[]): ClientAnswer {
  const used = [client.lastUsedAt, ...keys.map(({ lastUsedAt }) => lastUsedAt)].filter((at) => at !== null);
  const lastUsed = used.length > 0 ? new Date(Math.max(...used.map((at) => at.getTime()))) : null;
  return {
    id: client.id,
    name: client.name,
    permissions: client.permissions,
    workload: client.workload,
    source: client.fromFile ? 'file' : 'api',
    expires_at: client.expiresAt?.toISOString() ?? null,
    last_used_at: lastUsed?.toISOString() ?? null,
    created_by: client.createdBy,
    created_at: client.createdAt.toISOString(),
    keys: keys.map((key) => ({
      id: key.id,
      created_by: key.createdBy,
      created_at: key.createdAt.toISOString(),
      expires_at: key.expiresAt.toISOString(),
      last_used_at: key.lastUsedAt?.toISOString() ?? null,
    })),
  };
}
