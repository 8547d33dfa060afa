import type { TokenProvider } from '../provider/token-provider.js';
import { Field, nullable, number, oneOf, text, time, uuid, whole } from '../shared/schema.js';
import { FAILURES_TO_CLOSE } from './pace.js';
import type { ConnectionStatus } from './connection.js';
import type { Tally } from './connection-census.js';
import type { ObservedProvider } from './provider-state.store.js';

class ConnectionCounts implements Record<ConnectionStatus, number> {
  @Field(whole(120)) readonly active!: number;
  @Field(whole(0)) readonly suspect!: number;
  @Field(whole(2)) readonly reauthorization_required!: number;
  @Field(whole(0)) readonly paused!: number;
  @Field(whole(5)) readonly revoked!: number;
}

/** A provider as it is shown to operators. */
export class ProviderAnswer {
  @Field(text('konnect')) readonly name!: string;
  @Field(text('konnect')) readonly kind!: string;
  @Field(nullable(text('https://api.provider.example'))) readonly base_url!: string | null;
  @Field(
    oneOf(['ok', 'degraded', 'paused', 'misconfigured']),
    'What weighs most: our registration is refused, it is paused, the way there fails.',
  )
  readonly status!: 'misconfigured' | 'paused' | 'degraded' | 'ok';
  @Field(
    nullable(oneOf(['operator', 'mass_refusals']), true),
    'Who paused it: an operator, or the broker, since too many connections were refused at once; null: nobody.',
  )
  readonly paused_because!: 'operator' | 'mass_refusals' | null;
  @Field(
    nullable(time(), true),
    'Since when it is stopped after mass refusals: what died in the ten minutes before is to be looked at, and revived.',
  )
  readonly mass_refused_at!: string | null;
  @Field(nullable(text('konnect')), 'How it takes renewals, where that was found out.')
  readonly renewal_dialect!: string | null;
  @Field(nullable(oneOf(['none', 'rotating'])), 'Whether refresh tokens change with every use.')
  readonly rotation_observed!: 'none' | 'rotating' | null;
  @Field(nullable(number(3_600)), 'Seconds that its tokens live.') readonly lifetime_observed!: number | null;
  @Field(
    oneOf(['closed', 'open', 'half_open']),
    'Whether it is asked as usual (`closed`), left alone for now, or about to be tried with one call (`half_open`).',
  )
  readonly breaker!: 'closed' | 'open' | 'half_open';
  @Field(
    nullable(time(), true),
    'Until when nobody asks it, because it failed again and again or said that it is asked too often.',
  )
  readonly left_alone_until!: string | null;
  @Field(whole(3), 'Connections that are due now, counted up to 50,000 and one.') readonly backlog!: number;
  @Field(nullable(number(0.4)), 'Seconds, theirs minus ours.') readonly clock_skew!: number | null;
  @Field(nullable(text('timed_out'), true), "One of the broker's codes; null once it works again.")
  readonly last_error!: string | null;
  @Field(ConnectionCounts, 'How many are in each status.') readonly connections!: Tally['connections'];
  @Field(nullable(time(), true), 'When the client secret is to be replaced; null where there is none.')
  readonly rotate_by!: string | null;
}

class Probed {
  @Field(nullable(uuid())) readonly connection_id!: string | null;
  @Field(text('renewed'), "`renewed`, `still_running`, `nothing_to_probe`, or one of the broker's codes.")
  readonly outcome!: string;
}

/** A provider after a probe, and what the probe came to. */
export class ProbedAnswer extends ProviderAnswer {
  @Field(Probed) readonly probe!: Probed;
}

/** A provider after a revival. */
export class RevivedAnswer extends ProviderAnswer {
  @Field(whole(2), 'How many grants are tried once more.') readonly revived!: number;
}

export function answerProvider(
  provider: TokenProvider,
  state: ObservedProvider,
  { connections, backlog }: Pick<Tally, 'connections' | 'backlog'>,
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
