import { Injectable } from '@nestjs/common';
import { ConnectionCensus } from './connection-census.js';
import type { Connection } from './connection.js';
import { ConnectionStore } from './connection.store.js';
import { TokenRenewer } from './token-renewer.js';

/** What a probe came to: a token, our code for why there is none, or no answer for as long as a caller waits. */
export interface Probe {
  readonly connectionId: string | null;
  readonly outcome: string;
}

const NOTHING: Probe = { connectionId: null, outcome: 'nothing_to_probe' };

/** Renews one connection of a provider to see how the provider is. */
@Injectable()
export class ProviderProbe {
  constructor(
    private readonly census: ConnectionCensus,
    private readonly store: ConnectionStore,
    private readonly renewer: TokenRenewer,
  ) {}

  /** Through the one door, under a lease, and whatever a pause says. Waits as long as a caller does (10 s). */
  async of(provider: string): Promise<Probe> {
    const id = await this.census.pickForProbe(provider);
    const before = id === undefined ? undefined : await this.store.findById(id);
    if (!before) return NOTHING;
    const after = await this.renewer.probe(before);
    return { connectionId: before.id, outcome: after ? outcomeOf(before, after) : 'still_running' };
  }
}

/** Without an error and without a renewal the grant was taken away meanwhile, and nobody was asked. */
function outcomeOf(before: Connection, after: Connection): string {
  const renewedAt = (connection: Connection): number => connection.lastRenewedAt?.getTime() ?? -Infinity;
  if (after.tokenVersion > before.tokenVersion || renewedAt(after) > renewedAt(before)) return 'renewed';
  return after.lastError ?? NOTHING.outcome;
}
