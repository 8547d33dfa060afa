/** From when on until when, in seconds since the beginning. */
export interface Period {
  readonly from: number;
  readonly to: number;
}

/** What is simulated. Times are seconds. */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly connections: number;
  readonly lastsS: number;
  readonly lifetimeS: number;
  readonly ratePerSecond: number;
  readonly concurrency: number;
  readonly replicas: number;
  /** The way there fails: timeouts and 5xx. */
  readonly outages: readonly Period[];
  /** It answers 429 to everything, with the rest of the period as Retry-After. */
  readonly tooMany: readonly Period[];
  /** Part of all calls that are answered with a 429 without a Retry-After, for no reason. */
  readonly strayTooMany: number;
  /** So many connections, all of one company, of which every call times out. */
  readonly poisoned: number;
}

const HOUR = 3_600;

/**
 * Tokens of 1 h are renewed after 42 min on average: 397 renewals a second for a million. Of this cap, four fifths are the
 * calendar's, and a tenth goes to the depth of the bucket: that leaves a fifth more than is needed.
 */
const CALLS_PER_CONNECTION = 660 / 1_000_000;
/** Twice what is in flight at the cap, with answers that take a tenth of a second. */
const SECONDS_IN_FLIGHT = 0.25;

function scenario(changes: Pick<Scenario, 'name' | 'title' | 'connections'> & Partial<Scenario>): Scenario {
  const ratePerSecond = Math.ceil(changes.connections * CALLS_PER_CONNECTION);
  return {
    lastsS: 8 * HOUR,
    lifetimeS: HOUR,
    ratePerSecond,
    concurrency: Math.max(4, Math.ceil(ratePerSecond * SECONDS_IN_FLIGHT)),
    replicas: 3,
    outages: [],
    tooMany: [],
    strayTooMany: 0,
    poisoned: 0,
    ...changes,
  };
}

/** A day with an outage that outlasts every token. */
export function longOutage(connections: number): Scenario {
  return scenario({
    name: 'long-outage',
    title: '24 hours, 2 h outage in the middle',
    connections,
    lastsS: 24 * HOUR,
    outages: [{ from: 11 * HOUR, to: 13 * HOUR }],
  });
}

/** An outage that some tokens outlast: here it matters who comes first. */
export function shortOutage(connections: number): Scenario {
  return scenario({
    name: 'short-outage',
    title: '8 hours, 40 min outage in the middle',
    connections,
    outages: [{ from: 4 * HOUR, to: 4 * HOUR + 2_400 }],
  });
}

/** One company whose calls never come back, before, during and after an outage. */
export function poisonedCompany(connections: number): Scenario {
  return scenario({
    name: 'poisoned-company',
    title: '8 hours, one company in a thousand connections always times out, 1 h outage',
    connections,
    poisoned: Math.ceil(connections / 1_000),
    outages: [{ from: 4 * HOUR, to: 5 * HOUR }],
  });
}

/** A provider that says now and then, for a minute or to a single call, that it is asked too often. */
export function tooManyRequests(connections: number): Scenario {
  const minutes = [60, 120, 121.5, 180, 240, 300, 360, 420];
  return scenario({
    name: 'too-many-requests',
    title: '8 hours, a minute of 429 every hour, and single ones at random',
    connections,
    tooMany: minutes.map((minute) => ({ from: minute * 60, to: minute * 60 + 60 })),
    // One in five minutes.
    strayTooMany: 1 / (300 * connections * (397 / 1_000_000)),
  });
}

export function isWithin(periods: readonly Period[], at: number): Period | undefined {
  return periods.find(({ from, to }) => from <= at && at < to);
}
