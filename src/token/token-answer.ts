import { Injectable } from '@nestjs/common';
import { Vault } from '../vault/vault.js';
import { placeOf, remainingSeconds, type Connection } from './connection.js';
import type { Served } from './token.service.js';

/** The 200 of a token's `GET` and of a report. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: string;
  readonly header: { readonly name: string; readonly value: string };
  /** Null where nobody has said where the tokens of this provider are good. */
  readonly base_url: string | null;
  readonly expires_at: string | null;
  /** Whole seconds, rounded down. */
  readonly expires_in: number | null;
  readonly refresh_after: string;
  readonly scopes: readonly string[];
  readonly version: number;
  readonly stale: boolean;
  readonly warning?: string;
  readonly provider: string;
  readonly company_id: string;
  readonly location_id: string | null;
  readonly level: 'company' | 'location';
  readonly connection_id: string;
}

/** When to ask again for a token that the calendar does not know, in milliseconds. */
const ASK_AGAIN_MS = 300_000;

/** Opens a served token, the last thing before it is sent. */
@Injectable()
export class TokenAnswers {
  constructor(private readonly vault: Vault) {}

  of({ connection, provider, stale, warning }: Served): TokenAnswer {
    if (!connection.sealedToken) throw new Error('only a connection with a token is served');
    const token = this.vault.open(connection.sealedToken, placeOf(connection, 'sealed_token'));
    const remaining = remainingSeconds(connection);
    return {
      access_token: token.reveal(),
      token_type: connection.tokenType ?? 'Bearer',
      header: provider.header(token),
      base_url: provider.settings.baseUrl,
      expires_at: connection.expiresAt?.toISOString() ?? null,
      expires_in: Number.isFinite(remaining) ? Math.floor(remaining) : null,
      refresh_after: refreshAfter(connection, provider.renews).toISOString(),
      scopes: connection.scopes,
      version: connection.tokenVersion,
      stale,
      ...(warning === null ? {} : { warning }),
      provider: provider.name,
      company_id: connection.companyId,
      location_id: connection.locationId,
      level: connection.locationId === null ? 'company' : 'location',
      connection_id: connection.id,
    };
  }
}

/**
 * When it is to be renewed, but never after its end, however late the engine tries a dead one again. What a person may
 * replace at any time is asked for again soon.
 */
function refreshAfter({ renewAt, expiresAt, now }: Connection, renews: boolean): Date {
  const soon = new Date(now.getTime() + ASK_AGAIN_MS);
  const times = [renewAt, expiresAt, renews ? null : soon].filter((time) => time !== null);
  if (times.length === 0) return soon;
  return new Date(Math.min(...times.map((time) => time.getTime())));
}
