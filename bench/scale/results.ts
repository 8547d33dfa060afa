import type { Minute } from './gauge.js';
import { Oracle } from './oracle.js';
import { TIMEOUT_S } from './provider.js';
import { isWithin, type Period, type Scenario } from './scenario.js';
import { seeded } from './seeded.js';
import { Simulation } from './simulation.js';

/** What came of a scenario. */
export interface Results {
  readonly scenario: Scenario;
  readonly minutes: readonly Minute[];
  readonly calls: number;
  /** The most calls that began within any second. */
  readonly peak: number;
  /** Calls a second, while the provider was there. */
  readonly mean: number;
  /** Tokens that expired before another came, those of the poisoned company apart. */
  readonly lost: number;
  /** Of these, how many an order of renewal could have saved that knows what an engine can know. */
  readonly lostInVain: number;
  /** And one that knows when the provider will be away and back, and has the whole cap to itself. */
  readonly lostInHindsight: number;
  /** Seconds from the end of each outage until a call worked; null: none did. */
  readonly noticedAfterS: readonly (number | null)[];
  /** Seconds from the end of each outage until every connection had a token again, poisoned ones apart; null: never. */
  readonly recoveredAfterS: readonly (number | null)[];
}

/** The part of the cap that is the calendar's: the rest is for callers who wait. */
const CALENDARS_PART = 0.8;
/** The calendar is to be looked at this often, in seconds. */
const LOOKS_EVERY_S = 1;
/** Who leaves a provider alone that is away for a minute at a time has seen by then that it is back, if the last call was one that hung. */
const NOTICED_AFTER_S = 60 + TIMEOUT_S;
/** When all is known that an oracle may ask of the time so long ago. */
const KNOWN_AFTER_S = 2 * NOTICED_AFTER_S;

/** Runs a scenario to its end; `tell` gets every minute as it passes. */
export function run(scenario: Scenario, tell: (minute: Minute) => void, seed = 1): Results {
  const { outages, tooMany, ratePerSecond, lastsS } = scenario;
  const isThere = (at: number): boolean => !isWithin(outages, at) && !isWithin(tooMany, at);
  const isNoticed = (at: number): boolean =>
    outages.every(({ to }, index) => {
      const noticedAt = Math.min(simulation.noticedAt[index] ?? Infinity, to + NOTICED_AFTER_S);
      return at < to || at >= noticedAt;
    });
  const knowing = new Oracle({
    ratePerSecond: ratePerSecond * CALENDARS_PART,
    mayAsk: (at) => isThere(at) && isNoticed(at),
  });
  const hindsight = new Oracle({ ratePerSecond, mayAsk: isThere });
  const simulation = new Simulation(scenario, seeded(seed), (at, seenAt, expiresAt) => {
    knowing.tell(Math.min(seenAt, at + LOOKS_EVERY_S), expiresAt);
    hindsight.tell(at, expiresAt);
  });
  for (const minute of simulation.run()) {
    tell(minute);
    for (const oracle of [knowing, hindsight]) oracle.goOn(minute.at - KNOWN_AFTER_S);
  }
  for (const oracle of [knowing, hindsight]) oracle.goOn(lastsS);

  const { calls, peak, minutes } = simulation.gauge;
  const open = minutes.filter(({ at }) => !isWithin(outages, at - 30));
  return {
    scenario,
    minutes,
    calls,
    peak,
    mean: open.reduce((sum, minute) => sum + minute.calls, 0) / (open.length * 60),
    lost: simulation.lost,
    lostInVain: simulation.lost - knowing.lost,
    lostInHindsight: simulation.lost - hindsight.lost,
    noticedAfterS: outages.map(({ to }, index) => {
      const noticedAt = simulation.noticedAt[index];
      return noticedAt === undefined ? null : noticedAt - to;
    }),
    recoveredAfterS: outages.map((outage) => recoveredAfter(outage, minutes, lastsS)),
  };
}

function recoveredAfter({ to }: Period, minutes: readonly Minute[], lastsS: number): number | null {
  const recovered = minutes.find(({ at, expired }) => at > to && at <= lastsS && expired === 0);
  return recovered ? recovered.at - to : null;
}
