import { Injectable } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { CREDENTIAL_TYPES, type CredentialType, type TokenProvider } from '../provider/token-provider.js';
import { Problem } from '../shared/problem.js';
import {
  Field,
  OptionalField,
  flag,
  list,
  nullable,
  oneOf,
  text,
  time,
  uuid,
  whole,
} from '../shared/schema.js';
import { advise, nextTryAt } from './advice.js';
import { heldBackBy, type HeldBack } from './held-back.js';
import { missingScopes } from './serving.js';
import type { Revocation } from './revocation.service.js';
import { ProviderStateStore, type ObservedProvider } from './provider-state.store.js';
import { rotationOf, STATUSES, type Connection, type ConnectionStatus } from './connection.js';

/** A connection as it is shown: everything but its secrets. */
export class ConnectionAnswer {
  @Field(uuid()) readonly id!: string;
  @Field(text('fynd')) readonly provider!: string;
  @Field(nullable(text('fynd-platform')), 'Null where the provider is no longer configured.')
  readonly kind!: string | null;
  @Field(text('42')) readonly company_id!: string;
  @Field(nullable(text('7'), true)) readonly location_id!: string | null;
  @Field(oneOf(['company', 'location'])) readonly level!: 'company' | 'location';
  @Field(oneOf(STATUSES)) readonly status!: ConnectionStatus;
  @Field(nullable(text('invalid_grant'), true), "One of the broker's codes.")
  readonly status_reason!: string | null;
  @Field(list(text('company/products'), 'company/products')) readonly scopes!: readonly string[];
  @Field(list(text('company/orders')), 'Configured, and not granted.')
  readonly missing_scopes!: readonly string[];
  @Field(whole(7), '0 while there was no token yet.') readonly token_version!: number;
  @Field(nullable(text('5f1d7a84')), 'Tells tokens apart, and nothing of them.')
  readonly token_fingerprint!: string | null;
  @Field(nullable(time())) readonly expires_at!: string | null;
  @Field(nullable(time('2026-11-21T23:40:00.000Z')), 'As the calendar has it.')
  readonly renew_at!: string | null;
  @Field(
    nullable(time('2026-11-21T23:40:00.000Z')),
    'When the engine next tries by itself; null: never. Unlike `renew_at` it knows of pauses, and of who is not configured.',
  )
  readonly next_try_at!: string | null;
  @Field(nullable(time('2026-11-21T22:59:00.000Z'))) readonly last_renewed_at!: string | null;
  @Field(nullable(text('timed_out'), true), "One of the broker's codes.") readonly last_error!: string | null;
  @Field(whole(0)) readonly consecutive_failures!: number;
  @Field(text('All is well.'), 'What is the matter, what the broker does next, and what a person has to do.')
  readonly advice!: string;
  @Field(nullable(time(), true), 'When a secret that a person made is to be replaced.')
  readonly rotate_by!: string | null;
  @OptionalField(oneOf(['due', 'overdue']), 'Where `rotate_by` is within two weeks, or past.')
  readonly rotation?: 'due' | 'overdue';
  @OptionalField(oneOf(CREDENTIAL_TYPES), 'Of a token that a person made in a portal.')
  readonly token_type?: CredentialType;
  @OptionalField(flag(false)) readonly shared_externally?: boolean;
  @Field(time('2026-10-02T08:00:00.000Z')) readonly created_at!: string;
  @Field(time('2026-11-21T22:59:00.000Z')) readonly updated_at!: string;
}

/** What the provider still accepts after a `DELETE`, told honestly. */
export class RevocationAnswer {
  @Field(oneOf(['revoked', 'owed', 'unsupported'])) readonly upstream!: 'revoked' | 'owed' | 'unsupported';
  @Field(
    nullable(time()),
    'Null where nothing is valid any more, unless `still_valid` says that what was handed out has no end.',
  )
  readonly token_valid_until!: string | null;
  @OptionalField(flag(true)) readonly still_valid?: true;
}

/** Answers connections, with what is known of their providers now. */
@Injectable()
export class ConnectionAnswers {
  constructor(
    private readonly registry: ProviderRegistry,
    private readonly states: ProviderStateStore,
  ) {}

  async of(connection: Connection): Promise<ConnectionAnswer> {
    const states = await this.#statesOf([connection]);
    return this.#answer(connection, states);
  }

  async all(connections: readonly Connection[]): Promise<ConnectionAnswer[]> {
    const states = await this.#statesOf(connections);
    return connections.map((connection) => this.#answer(connection, states));
  }

  #answer(connection: Connection, states: ReadonlyMap<string, ObservedProvider>): ConnectionAnswer {
    const state = states.get(connection.provider);
    return shape(connection, this.registry.find(connection.provider), state && heldBackBy(state)[0]);
  }

  /** Of none where the database is away: a connection may have come from memory. */
  async #statesOf(connections: readonly Connection[]): Promise<ReadonlyMap<string, ObservedProvider>> {
    const names = [...new Set(connections.map(({ provider }) => provider))];
    try {
      return await this.states.list(names);
    } catch (error) {
      if (error instanceof Problem && error.code === 'store_unavailable') return new Map();
      throw error;
    }
  }
}

function shape(
  connection: Connection,
  provider: TokenProvider | undefined,
  heldBack: HeldBack | undefined,
): ConnectionAnswer {
  const around = { provider, heldBack };
  const rotation = rotationOf(connection);
  const { credentialType, sharedExternally } = connection;
  const iso = (date: Date | null): string | null => date?.toISOString() ?? null;
  return {
    id: connection.id,
    provider: connection.provider,
    kind: provider?.kind ?? null,
    company_id: connection.companyId,
    location_id: connection.locationId,
    level: connection.locationId === null ? 'company' : 'location',
    status: connection.status,
    status_reason: connection.statusReason,
    scopes: connection.scopes,
    missing_scopes: missingScopes(connection, provider?.scopes ?? []),
    token_version: connection.tokenVersion,
    token_fingerprint: connection.tokenFingerprint,
    expires_at: iso(connection.expiresAt),
    renew_at: iso(connection.renewAt),
    next_try_at: iso(nextTryAt(connection, around)),
    last_renewed_at: iso(connection.lastRenewedAt),
    last_error: connection.lastError,
    consecutive_failures: connection.consecutiveFailures,
    advice: advise(connection, around),
    rotate_by: iso(connection.rotateBy),
    ...(rotation === null ? {} : { rotation }),
    ...(credentialType === null ? {} : { token_type: credentialType, shared_externally: sharedExternally }),
    created_at: connection.createdAt.toISOString(),
    updated_at: connection.updatedAt.toISOString(),
  };
}

export function answerRevocation({ upstream, tokenValidUntil, isStillValid }: Revocation): RevocationAnswer {
  return {
    upstream,
    token_valid_until: tokenValidUntil?.toISOString() ?? null,
    ...(isStillValid && tokenValidUntil === null ? { still_valid: true } : {}),
  };
}
