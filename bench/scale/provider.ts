import type { Random } from '#broker/token/calendar.js';
import type { Failure } from '#broker/provider/verdict.js';
import { isWithin, type Scenario } from './scenario.js';

/** How one call ends: with a token, where there is no failure. */
export interface Ending {
  readonly failure: Failure | null;
  readonly tookS: number;
}

/** The provider's timeout by default, and how fast it answers. Seconds. */
export const TIMEOUT_S = 10;
const ERROR_S = 0.05;
const BETWEEN_S = [0.05, 0.15] as const;

const TIMED_OUT: Ending = {
  failure: { kind: 'unavailable', code: 'timed_out', mayHaveActed: true, retryAfterSeconds: null },
  tookS: TIMEOUT_S,
};
const SERVER_ERROR: Ending = {
  failure: { kind: 'unavailable', code: 'server_error', mayHaveActed: true, retryAfterSeconds: null },
  tookS: ERROR_S,
};

/** A provider that does what its scenario says. */
export class SimulatedProvider {
  constructor(
    private readonly scenario: Scenario,
    private readonly random: Random,
  ) {}

  /** The end of a call that begins now, for this connection. */
  ask(id: number, now: number): Ending {
    const { outages, tooMany, strayTooMany, poisoned } = this.scenario;
    if (isWithin(outages, now)) return this.random() < 0.5 ? TIMED_OUT : SERVER_ERROR;
    if (id < poisoned) return TIMED_OUT;
    const period = isWithin(tooMany, now);
    if (period) return tooOften(Math.ceil(period.to - now));
    if (strayTooMany > 0 && this.random() < strayTooMany) return tooOften(null);
    const [from, to] = BETWEEN_S;
    return { failure: null, tookS: from + (to - from) * this.random() };
  }
}

function tooOften(retryAfterSeconds: number | null): Ending {
  return {
    failure: { kind: 'unavailable', code: 'rate_limited', mayHaveActed: false, retryAfterSeconds },
    tookS: ERROR_S,
  };
}
