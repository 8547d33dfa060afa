import { Injectable } from '@nestjs/common';
import type { TokenProvider } from '../provider/token-provider.js';
import type { Secret } from '../shared/secret.js';
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
import { Vault } from '../vault/vault.js';
import { placeOf } from './connection.js';
import { KeptAnswer } from './kept-answer.js';
import { KeptAnswers } from './kept-answers.js';
import type { Served } from './served.js';
import type { KeptTokenInHand, TokenInHand } from './token-in-hand.js';
import { frameOf, jsonOf } from './token-text.js';

class HeaderAnswer {
  @Field(text('x-access-token')) readonly name!: string;
  @Field(text('eyJhbGciOi…'), 'A secret.') readonly value!: string;
}

/** The 200 of a token's `GET` and of a report. */
export class TokenAnswer {
  @Field(text('eyJhbGciOi…'), 'A secret.') readonly access_token!: string;
  @Field(text('Bearer')) readonly token_type!: string;
  @Field(HeaderAnswer, 'Exactly what to send to the provider.') readonly header!: HeaderAnswer;
  @Field(
    nullable(text('https://api.provider.example')),
    'Where to send it; null where nobody has said where the tokens of this provider are good.',
  )
  readonly base_url!: string | null;
  @Field(nullable(time()), 'Null: it never expires.') readonly expires_at!: string | null;
  @Field(nullable(whole(2_711)), 'Whole seconds, rounded down.') readonly expires_in!: number | null;
  @Field(time('2026-11-21T23:40:00.000Z'), 'When a caller does well to ask again.')
  readonly refresh_after!: string;
  @Field(list(text('company/products'), 'company/products')) readonly scopes!: readonly string[];
  @Field(whole(7, 1), 'Grows by one with every new token of the connection.') readonly version!: number;
  @Field(flag(false), 'Not the newest that should be, but good for `min_ttl`; `warning` says why.')
  readonly stale!: boolean;
  @OptionalField(text('The provider is away.')) readonly warning?: string;
  @Field(text('konnect')) readonly provider!: string;
  @Field(text('42')) readonly company_id!: string;
  @Field(nullable(text('7'), true)) readonly location_id!: string | null;
  @Field(oneOf(['company', 'location'])) readonly level!: 'company' | 'location';
  @Field(nullable(uuid()), 'Null for a token that belongs to no connection.')
  readonly connection_id!: string | null;
}

/** What an answer is made of, wherever the token lay. Its times are by the database's clock. */
export interface OpenedToken {
  readonly token: Secret;
  readonly provider: TokenProvider;
  readonly companyId: string;
  readonly locationId: string | null;
  readonly connectionId: string | null;
  readonly tokenType: string | null;
  readonly scopes: readonly string[];
  readonly version: number;
  readonly now: Date;
  /** Null: it never expires. */
  readonly expiresAt: Date | null;
  /** When there is a newer one, or news of it, to be had; null where no calendar knows. */
  readonly renewAt: Date | null;
  readonly stale?: boolean;
  readonly warning?: string | null;
}

/** When to ask again for a token that the calendar does not know, in milliseconds. */
const ASK_AGAIN_MS = 300_000;

/** When a caller does well to ask again about a token that no calendar renews. */
export function askAgainAt(now: Date): Date {
  return new Date(now.getTime() + ASK_AGAIN_MS);
}

/** The answer as the contract has it. Reveals the token: the last thing before it is sent. */
export function shapeToken(opened: OpenedToken): TokenAnswer {
  const { token, provider, expiresAt, now, locationId, stale = false, warning = null } = opened;
  return {
    access_token: token.reveal(),
    token_type: opened.tokenType ?? 'Bearer',
    header: provider.header(token),
    base_url: provider.settings.baseUrl,
    expires_at: expiresAt?.toISOString() ?? null,
    expires_in: expiresAt && wholeSeconds(expiresAt.getTime() - now.getTime()),
    refresh_after: refreshAfter(opened).toISOString(),
    scopes: opened.scopes,
    version: opened.version,
    stale,
    ...(warning === null ? {} : { warning }),
    provider: provider.name,
    company_id: opened.companyId,
    location_id: locationId,
    level: locationId === null ? 'company' : 'location',
    connection_id: opened.connectionId,
  };
}

/** Opens a connection's token that is to be served. */
@Injectable()
export class TokenAnswers {
  constructor(
    private readonly vault: Vault,
    private readonly kept: KeptAnswers,
  ) {}

  /** Looks for the key of a token that another replica has sealed just now. Throws Problem `store_unavailable`. */
  async ready({ connection }: Served): Promise<void> {
    await this.vault.know(connection.sealedToken);
  }

  of(served: Served): TokenAnswer {
    return shapeServed(served, this.#open(served.connection));
  }

  /** The same as JSON; what is asked for again and again is not put together anew. */
  textOf(served: Served<KeptTokenInHand>): string {
    const { connection, stale, warning, nowMs } = served;
    const answer = stale || warning !== null ? undefined : this.#answerOf(served);
    if (!answer || connection.expiresMs === null) return JSON.stringify(this.of(served));
    return answer.write(wholeSeconds(connection.expiresMs - nowMs));
  }

  #answerOf(served: Served<KeptTokenInHand>): KeptAnswer | null | undefined {
    const { connection, provider } = served;
    // `refresh_after` is of now where no calendar knows.
    if (!provider.renews) return undefined;
    if (connection.answer !== undefined) return connection.answer;
    // Most of what is read from the database is read once.
    if (!connection.isServed) return void (connection.isServed = true);
    if (!this.kept.takes(connection)) return undefined;
    // What does not open, or cannot be kept, has taken its place, and is not tried again.
    connection.answer = null;
    const frame = frameOf((token) => shapeServed(served, token));
    if (frame) connection.answer = KeptAnswer.of(frame, jsonOf(this.#open(connection))) ?? null;
    return connection.answer;
  }

  #open(connection: TokenInHand): Secret {
    const { sealedToken } = connection;
    if (!sealedToken) throw new Error('only a connection with a token is served');
    return this.vault.open(sealedToken, placeOf(connection, 'sealed_token'));
  }
}

function shapeServed({ connection, provider, stale, warning, nowMs }: Served, token: Secret): TokenAnswer {
  const { companyId, locationId, tokenType, scopes, expiresAt, renewAt } = connection;
  return shapeToken({
    ...{ companyId, locationId, tokenType, scopes, expiresAt, renewAt },
    token,
    provider,
    now: new Date(nowMs),
    version: connection.tokenVersion,
    connectionId: connection.id,
    stale,
    warning,
  });
}

function wholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000);
}

/**
 * When it is to be renewed, but never after its end, however late the engine tries a dead one again. What a person may
 * replace at any time is asked for again soon.
 */
function refreshAfter({ renewAt, expiresAt, now, provider }: OpenedToken): Date {
  const end = Math.min(renewAt?.getTime() ?? Infinity, expiresAt?.getTime() ?? Infinity);
  if (provider.renews && end < Infinity) return new Date(end);
  return new Date(Math.min(end, askAgainAt(now).getTime()));
}
