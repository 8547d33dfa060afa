import { Field, flag, nullable, oneOf, OptionalField, text, time, uuid, whole } from '../shared/schema.js';
import type { AuditColumns } from './audit-columns.js';
import { OUTCOMES, TRACED_ACTIONS } from './audit-event.js';

/** An event as a log pipeline reads it. */
export class AuditAnswer {
  @Field(uuid()) readonly id!: string;
  @Field(time(), 'Of the first of those that are folded into one.') readonly at!: string;
  @Field(time(), 'Of the last of them.') readonly last_at!: string;
  @Field(whole(3, 1)) readonly count!: number;
  @Field(text('admin'), "A client's id, admin, seller or broker.") readonly actor!: string;
  @Field(oneOf(TRACED_ACTIONS)) readonly action!: string;
  @Field(oneOf(OUTCOMES)) readonly outcome!: string;
  @Field(text('konnect/companies/42')) readonly resource!: string;
  @Field(nullable(uuid())) readonly connection_id!: string | null;
  @Field(nullable(whole(7))) readonly token_version!: number | null;
  @Field(nullable(text('5f1d0c2b7a9e4c3d8b6a1f20'))) readonly token_fingerprint!: string | null;
  @Field(nullable(text('10.0.0.7'))) readonly source_ip!: string | null;
  @Field(nullable(text('4f1c2a90b7d3e651'))) readonly key_id!: string | null;
  @Field(nullable(text('7b0c9f1e'))) readonly request_id!: string | null;
  @Field(nullable(text('replaced')), 'What exactly was done, or the code of what was refused.')
  readonly reason!: string | null;
}

/** An event as it is found, with the name of a client. */
export class FoundEvent extends AuditAnswer {
  @Field(nullable(text('orders'))) readonly actor_name!: string | null;
}

/** A token that somebody got. */
export class ExposedToken {
  @Field(nullable(uuid(), true), "Null for a session's.") readonly connection_id!: string | null;
  @Field(text('konnect/companies/42')) readonly resource!: string;
  @Field(whole(7, 1)) readonly token_version!: number;
  @Field(text('5f1d0c2b7a9e4c3d8b6a1f20')) readonly token_fingerprint!: string;
  @Field(time(), 'Of the time that was asked for, as is last_at.') readonly first_at!: string;
  @Field(time()) readonly last_at!: string;
  @Field(nullable(time(), true), 'Null where it has no end that anybody knows.')
  readonly valid_until!: string | null;
  @Field(flag(true)) readonly still_valid!: boolean;
  @OptionalField(flag(true)) readonly never_expires?: true;
}

export function answerEvent(columns: AuditColumns): AuditAnswer {
  return {
    id: columns.id,
    at: new Date(columns.at).toISOString(),
    last_at: new Date(columns.last_at).toISOString(),
    count: columns.count,
    actor: columns.actor,
    action: columns.action,
    outcome: columns.outcome,
    resource: columns.resource,
    connection_id: columns.connection_id,
    token_version: columns.token_version,
    token_fingerprint: columns.token_fingerprint,
    source_ip: columns.source_ip,
    key_id: columns.key_id,
    request_id: columns.request_id,
    reason: columns.reason,
  };
}
