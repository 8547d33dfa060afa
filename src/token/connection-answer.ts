import { Injectable } from '@nestjs/common';
import { ProviderRegistry } from '../provider/provider-registry.js';
import type { CredentialType, TokenProvider } from '../provider/token-provider.js';
import { Problem } from '../shared/problem.js';
import { advise, nextTryAt } from './advice.js';
import { heldBackBy, type HeldBack } from './held-back.js';
import { missingScopes } from './serving.js';
import type { Revocation } from './revocation.service.js';
import { ProviderStateStore, type ObservedProvider } from './provider-state.store.js';
import { rotationOf, type Connection, type ConnectionStatus } from './connection.js';

/** A connection as it is shown: everything but its secrets. */
export interface ConnectionAnswer {
  readonly id: string;
  readonly provider: string;
  /** Null where the provider is no longer configured. */
  readonly kind: string | null;
  readonly company_id: string;
  readonly location_id: string | null;
  readonly level: 'company' | 'location';
  readonly status: ConnectionStatus;
  readonly status_reason: string | null;
  readonly scopes: readonly string[];
  readonly missing_scopes: readonly string[];
  readonly token_version: number;
  readonly token_fingerprint: string | null;
  readonly expires_at: string | null;
  readonly renew_at: string | null;
  /** When the engine next tries by itself; null: never. Unlike `renew_at` it knows of pauses, and of who is not configured. */
  readonly next_try_at: string | null;
  readonly last_renewed_at: string | null;
  readonly last_error: string | null;
  readonly consecutive_failures: number;
  /** What is the matter, what the broker does next, and what a person has to do. */
  readonly advice: string;
  readonly rotate_by: string | null;
  /** Where the secret that a person made is to be replaced within two weeks, or should have been. */
  readonly rotation?: 'due' | 'overdue';
  /** Of a token that a person made in a portal. */
  readonly token_type?: CredentialType;
  readonly shared_externally?: boolean;
  readonly created_at: string;
  readonly updated_at: string;
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

/** What the provider still accepts after a `DELETE`, told honestly. */
export interface RevocationAnswer {
  readonly upstream: 'revoked' | 'owed' | 'unsupported';
  /** Null where nothing is valid any more, unless `still_valid` says that what was handed out has no end. */
  readonly token_valid_until: string | null;
  readonly still_valid?: true;
}

export function answerRevocation({ upstream, tokenValidUntil, isStillValid }: Revocation): RevocationAnswer {
  return {
    upstream,
    token_valid_until: tokenValidUntil?.toISOString() ?? null,
    ...(isStillValid && tokenValidUntil === null ? { still_valid: true } : {}),
  };
}
