import { Injectable } from '@nestjs/common';
import { getOrMake, newMap } from '../shared/get-or-make.js';
import { Metrics } from './metrics.js';
import { TalliedCounter, TalliedHistogram, type Sizes, type Tally } from './tallied.js';

/** Of a fetch: from memory it takes a tenth of the first, and a caller waits for a renewal no longer than the last. */
const FETCH_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Whoever sends a request, as far as labels may tell: nobody known, the admin key, a service's key, or a workload's own token. */
export type CallerClass = 'none' | 'admin' | 'key' | 'workload';

/** A route of which most requests are. */
export interface RouteName {
  readonly method: string;
  /** The template, in which ids have names. */
  readonly route: string;
}

/** What is counted with every request. Each costs a few hundred nanoseconds: tokens are fetched all the time. */
@Injectable()
export class RequestMetrics {
  readonly #requests: TalliedCounter<'method' | 'route' | 'outcome' | 'caller'>;
  readonly #fetches: TalliedHistogram<'provider'>;
  readonly #fromMemory: Tally;
  readonly #fromDatabase: Tally;
  readonly #adminKeyUsed: Tally;
  /** By route, method, caller and outcome: a join of them would be a new text each time. */
  readonly #series = new Map<string, Map<string, Map<CallerClass, Map<string, Tally>>>>();
  readonly #fetchesOf = new Map<string, Sizes>();

  constructor({ registry }: Metrics) {
    const registers = [registry];
    this.#requests = new TalliedCounter({
      name: 'token_broker_requests_total',
      help: 'Requests by route, outcome (ok, or the code of the problem) and kind of caller',
      labelNames: ['method', 'route', 'outcome', 'caller'],
      registers,
    });
    this.#fetches = new TalliedHistogram({
      name: 'token_broker_fetch_seconds',
      help: 'How long fetches of a token took, by provider, whatever came of them',
      labelNames: ['provider'],
      buckets: FETCH_S,
      registers,
    });
    const lookUps = new TalliedCounter({
      name: 'token_broker_cache_lookups_total',
      help: 'Tokens that were looked for: in memory (hit) or, since it was not there, in the database (miss)',
      labelNames: ['result'],
      registers,
    });
    this.#fromMemory = lookUps.begin({ result: 'hit' });
    this.#fromDatabase = lookUps.begin({ result: 'miss' });
    this.#adminKeyUsed = new TalliedCounter({
      name: 'token_broker_admin_key_uses_total',
      help: 'Requests with the admin key, whatever came of them',
      registers,
    }).begin({});
  }

  /** A request is answered; `outcome` is `ok`, a problem's code, or an HTTP status where there is none. */
  answered({ method, route }: RouteName, outcome: string, caller: CallerClass): void {
    if (caller === 'admin') this.#adminKeyUsed.count += 1;
    const ofMethods = getOrMake(this.#series, route, newMap<string, Map<CallerClass, Map<string, Tally>>>);
    const ofCallers = getOrMake(ofMethods, method, newMap<CallerClass, Map<string, Tally>>);
    const ofOutcomes = getOrMake(ofCallers, caller, newMap<string, Tally>);
    getOrMake(ofOutcomes, outcome, () => this.#requests.begin({ method, route, outcome, caller })).count += 1;
  }

  /** A fetch took so many milliseconds. */
  fetched(provider: string, ms: number): void {
    getOrMake(this.#fetchesOf, provider, () => this.#fetches.begin({ provider })).observe(ms / 1_000);
  }

  foundInMemory(): void {
    this.#fromMemory.count += 1;
  }

  lookedUpInDatabase(): void {
    this.#fromDatabase.count += 1;
  }
}
