import type { TokenProvider } from '../provider/token-provider.js';
import type { Tally } from './connection-census.js';
import type { ObservedProvider } from './provider-state.store.js';

/** A provider as it is shown to operators. */
export interface ProviderAnswer {
  readonly name: string;
  readonly kind: string;
  readonly base_url: string | null;
  /** What weighs most: our registration is refused, an operator paused it, the way there fails. */
  readonly status: 'misconfigured' | 'paused' | 'degraded' | 'ok';
  readonly renewal_dialect: string | null;
  readonly rotation_observed: 'none' | 'rotating' | null;
  /** Seconds. */
  readonly lifetime_observed: number | null;
  /** Connections that are due now. */
  readonly backlog: number;
  /** Seconds, theirs minus ours. */
  readonly clock_skew: number | null;
  /** Our code; null once it works again. */
  readonly last_error: string | null;
  readonly connections: Tally['connections'];
  /** When the client secret is to be replaced; null where there is none. */
  readonly rotate_by: string | null;
}

export function answerProvider(
  provider: TokenProvider,
  state: ObservedProvider,
  { connections, backlog }: Tally,
): ProviderAnswer {
  const since = provider.hasClientSecret ? state.credentialsSince : null;
  return {
    name: provider.name,
    kind: provider.kind,
    base_url: provider.settings.baseUrl,
    status: statusOf(state),
    renewal_dialect: state.renewalDialect,
    rotation_observed: state.rotationObserved,
    lifetime_observed: state.lifetimeObservedS,
    backlog,
    clock_skew: state.clockSkewS,
    last_error: state.misconfigured || state.failing ? state.lastError : null,
    connections,
    rotate_by:
      since && new Date(since.getTime() + provider.settings.rotateAfterSeconds * 1_000).toISOString(),
  };
}

function statusOf({ misconfigured, paused, failing }: ObservedProvider): ProviderAnswer['status'] {
  if (misconfigured) return 'misconfigured';
  if (paused) return 'paused';
  return failing ? 'degraded' : 'ok';
}
