import { Injectable } from '@nestjs/common';
import type { Caller } from '../http/caller.js';
import { ProviderRegistry } from '../provider/provider-registry.js';
import { Clock } from '../shared/clock.js';
import { EVERYTHING } from '../shared/permission.js';
import { Problem } from '../shared/problem.js';
import { ConnectionAnswers } from '../token/connection-answer.js';
import { MOST_COUNTED } from '../token/connection-census.js';
import { ConnectionOutlook, type TroubledConnection } from '../token/connection-outlook.js';
import { NO_CONNECTIONS, type StatusCounts } from '../token/connection-tallies.js';
import { STATUSES } from '../token/connection.js';
import { answerProvider, type ProviderAnswer } from '../token/provider-answer.js';
import { ProviderStateStore } from '../token/provider-state.store.js';
import { SparingLookup } from '../token/sparing-lookup.js';
import type { OverviewAnswer } from './overview-answer.js';

/** What all who look are told: it is looked up once in two seconds, however many they are, and takes a tenth of the time. */
const SPARING = { everyMs: 2_000, share: 0.1, atLeastEveryMs: 30_000, keptMs: 30_000 };
/** Milliseconds that somebody waits for what is new where there is something older; and where there is nothing yet. */
const PATIENCE_MS = 100;
const FIRST_PATIENCE_MS = 10_000;

type Everything = OverviewAnswer & { readonly providers: readonly ProviderAnswer[] };

/** How all connections stand. Of a million rows it reads some thousands. */
@Injectable()
export class Overview {
  readonly #latest: SparingLookup<Everything>;

  constructor(
    private readonly registry: ProviderRegistry,
    private readonly connections: ConnectionOutlook,
    private readonly answers: ConnectionAnswers,
    private readonly states: ProviderStateStore,
    private readonly clock: Clock,
  ) {
    this.#latest = new SparingLookup(() => this.#look(), SPARING, clock);
  }

  /** Throws Problem `store_unavailable`. */
  async show(caller: Caller): Promise<OverviewAnswer> {
    const all = (await this.#latest.latest(PATIENCE_MS)) ?? (await this.#latest.latest(FIRST_PATIENCE_MS));
    if (!all)
      throw new Problem('store_unavailable', 'Nobody could look; try again shortly.', { retry_after: 2 });
    return caller.permits('provider:admin', EVERYTHING) ? all : { ...all, providers: null };
  }

  async #look(): Promise<Everything> {
    const providers = this.registry.all();
    const names = providers.map(({ name }) => name);
    const asOf = this.clock.now();
    const [glance, states] = await Promise.all([this.connections.look(names), this.states.list(names)]);
    const { tallies, backlogs, expiries, renewals, troubled } = glance;
    const due = [...backlogs.values()].reduce((sum, it) => sum + Math.min(it.due, MOST_COUNTED), 0);
    const totals = sumOf(tallies.values());
    return {
      as_of: asOf.toISOString(),
      connections: {
        well: Math.max(0, totals.active - due),
        due,
        suspect: totals.suspect,
        reauthorization_required: totals.reauthorization_required,
        paused: totals.paused,
        revoked: totals.revoked,
      },
      due_is_more: [...backlogs.values()].some((it) => it.due > MOST_COUNTED),
      past: renewals.map(({ from, renewed, failed }) => ({ from: from.toISOString(), renewed, failed })),
      next: expiries.hours.map(({ from, count }) => ({ from: from.toISOString(), expiring: count })),
      next_is_estimated: expiries.isEstimated,
      providers: providers.flatMap((provider) => {
        const state = states.get(provider.name);
        const tally = {
          connections: tallies.get(provider.name) ?? NO_CONNECTIONS,
          backlog: backlogs.get(provider.name)?.due ?? 0,
        };
        return state ? [answerProvider(provider, state, tally)] : [];
      }),
      attention: await this.#answer(troubled),
    };
  }

  async #answer(troubled: readonly TroubledConnection[]): Promise<OverviewAnswer['attention']> {
    const answers = await this.answers.all(troubled);
    return answers.flatMap((answer, index) => {
      const trouble = troubled[index]?.trouble;
      return trouble ? [{ ...answer, trouble }] : [];
    });
  }
}

function sumOf(counts: Iterable<StatusCounts>): StatusCounts {
  const all = [...counts];
  const totals = STATUSES.map((status) => [status, all.reduce((sum, it) => sum + it[status], 0)]);
  return Object.fromEntries(totals) as StatusCounts;
}
