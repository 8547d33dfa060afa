import { renewAfter, type Random } from '#broker/token/calendar.js';
import type { ClaimedConnection } from '#broker/token/connection.js';
import type { Sealed } from '#broker/shared/secret.js';
import { settleFailure, type ProviderTraits } from '#broker/token/transition.js';
import type { Failure } from '#broker/provider/verdict.js';
import type { Scenario } from './scenario.js';

/** The hardest for the engine: what may have been spent is not sent again at once. */
const TRAITS: ProviderTraits = { rotation: 'strict', graceSeconds: 0, mintsFromCredential: false };
const RENEW_BETWEEN = [0.6, 0.8] as const;
const NEVER_LOOKED_AT = new Date(0);

/** All that a decision looks at and that is the same for every connection here. */
const TEMPLATE: ClaimedConnection = {
  id: '',
  provider: 'simulated',
  companyId: '1',
  locationId: null,
  now: NEVER_LOOKED_AT,
  status: 'active',
  statusReason: null,
  scopes: [],
  grantVersion: 1,
  sealedGrant: Buffer.of(1) as Sealed,
  tokenVersion: 1,
  sealedToken: Buffer.of(1) as Sealed,
  tokenType: 'Bearer',
  tokenFingerprint: null,
  issuedAt: null,
  expiresAt: null,
  renewedLifetimeS: null,
  renewAt: null,
  lastRenewedAt: null,
  lastError: null,
  consecutiveFailures: 0,
  refusals: 0,
  leaseOwner: null,
  leaseUntil: null,
  leaseEpoch: '1',
  attempts: 1,
  unknownOutcome: null,
  crashes: 0,
  rotateBy: null,
  credentialType: null,
  sharedExternally: false,
  upstreamRevocation: null,
  refreshTokenKept: false,
  reportedVersion: null,
  reportedAt: null,
  createdAt: NEVER_LOOKED_AT,
  updatedAt: NEVER_LOOKED_AT,
  crashed: false,
  unansweredS: null,
};

/** All connections, a column each: what differs between them while nothing is refused. Times are seconds. */
export class Fleet {
  readonly #expiresAt: Float64Array;
  readonly #failures: Uint16Array;
  readonly #hasUnknown: Uint8Array;

  constructor(
    private readonly scenario: Scenario,
    private readonly random: Random,
  ) {
    this.#expiresAt = new Float64Array(scenario.connections);
    this.#failures = new Uint16Array(scenario.connections);
    this.#hasUnknown = new Uint8Array(scenario.connections);
  }

  get size(): number {
    return this.#expiresAt.length;
  }

  expiresAt(id: number): number {
    return this.#expiresAt[id] as number;
  }

  /** As if all had gone on for long: a token of any age that tokens reach; when it is to be renewed. */
  begin(id: number): number {
    const { lifetimeS } = this.scenario;
    const usedS = renewAfter(lifetimeS, RENEW_BETWEEN, this.random) ?? Infinity;
    const ageS = this.random() * usedS;
    this.#expiresAt[id] = lifetimeS - ageS;
    return usedS - ageS;
  }

  /** A token was asked for at `issuedAt` and has come; when it is to be renewed. */
  issue(id: number, issuedAt: number): number {
    const { lifetimeS } = this.scenario;
    this.#expiresAt[id] = issuedAt + lifetimeS;
    this.#failures[id] = 0;
    this.#hasUnknown[id] = 0;
    return issuedAt + (renewAfter(lifetimeS, RENEW_BETWEEN, this.random) ?? Infinity);
  }

  /** A call has failed; when the next one is to be tried. */
  fail(id: number, failure: Failure, now: number): number {
    const settled = settleFailure(
      {
        ...TEMPLATE,
        id: String(id),
        now: new Date(now * 1_000),
        expiresAt: new Date(this.expiresAt(id) * 1_000),
        consecutiveFailures: this.#failures[id] as number,
        unknownOutcome: this.#hasUnknown[id] === 1 ? 'no_answer' : null,
      },
      failure,
      TRAITS,
      this.random,
    );
    this.#failures[id] = settled.consecutiveFailures;
    this.#hasUnknown[id] = Number(settled.unknownOutcome !== null);
    return settled.renewInS === null ? Infinity : now + settled.renewInS;
  }

  /** How many have no token that lives, the poisoned apart. */
  countExpired(now: number): number {
    let count = 0;
    for (let id = this.scenario.poisoned; id < this.size; id += 1) count += Number(this.expiresAt(id) <= now);
    return count;
  }
}
