import type { TokenProvider } from '../provider/token-provider.js';
import { FAILURES_TO_CLOSE } from './pace.js';
import type { Tally } from './connection-census.js';
import type { ObservedProvider } from './provider-state.store.js';

/** A provider as it is shown to operators. */
export interface ProviderAnswer {
  readonly name: string;
  readonly kind: string;
  readonly base_url: string | null;
  /** What weighs most: our registration is refused, it is paused, the way there fails. */
  readonly status: 'misconfigured' | 'paused' | 'degraded' | 'ok';
  /** Who paused it: an operator, or the broker, since too many connections were refused at once; null: nobody. */
  readonly paused_because: 'operator' | 'mass_refusals' | null;
  /** Since when it is stopped after mass refusals: what died in the ten minutes before is to be looked at, and revived. */
  readonly mass_refused_at: string | null;
  readonly renewal_dialect: string | null;
  readonly rotation_observed: 'none' | 'rotating' | null;
  /** Seconds. */
  readonly lifetime_observed: number | null;
  /** Whether it is asked as usual (`closed`), left alone for now, or about to be tried with one call (`half_open`). */
  readonly breaker: 'closed' | 'open' | 'half_open';
  /** Until when nobody asks it, because it failed again and again or said that it is asked too often. */
  readonly left_alone_until: string | null;
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
    paused_because: state.paused ? 'operator' : state.massRefusedAt ? 'mass_refusals' : null,
    mass_refused_at: state.massRefusedAt?.toISOString() ?? null,
    renewal_dialect: state.renewalDialect,
    rotation_observed: state.rotationObserved,
    lifetime_observed: state.lifetimeObservedS,
    breaker: breakerOf(state),
    left_alone_until: state.leftAloneUntil?.toISOString() ?? null,
    backlog,
    clock_skew: state.clockSkewS,
    last_error: state.massRefusedAt
      ? 'mass_refusals'
      : state.misconfigured || state.failing || state.leftAlone
        ? state.lastError
        : null,
    connections,
    rotate_by:
      since && new Date(since.getTime() + provider.settings.rotateAfterSeconds * 1_000).toISOString(),
  };
}

function statusOf(state: ObservedProvider): ProviderAnswer['status'] {
  if (state.misconfigured) return 'misconfigured';
  if (state.paused || state.massRefusedAt) return 'paused';
  return state.failing || state.leftAlone ? 'degraded' : 'ok';
}

/** What the provider itself does to its calls: a 429 opens it, too. */
export function breakerOf({ leftAlone, failures }: ObservedProvider): ProviderAnswer['breaker'] {
  if (leftAlone) return 'open';
  return failures >= FAILURES_TO_CLOSE ? 'half_open' : 'closed';
}
