import { describe, expect, it } from '@jest/globals';
import { array, assert, boolean, constantFrom, property, record, type Arbitrary } from 'fast-check';
import { afterTaking, FRESH_PACE, roomFor, type Caps, type Pace, type Purpose } from './pace.js';

/** Epoch seconds of today, which leave a double about as much room as PostgreSQL has: a quarter of a microsecond. */
const NOW = 1_800_000_000;
const CAPS: Caps = { ratePerSecond: 50, concurrency: 20 };
/** A provider that has worked for long. */
const WIDE: Pace = { ...FRESH_PACE, window: 1_000 };

/** One ask for room: after a while, for a purpose, for at most so many calls. */
interface Ask {
  /** A part of the time after which the last ask was told to come back, or seconds. */
  readonly after: { readonly asTold: boolean; readonly seconds: number };
  readonly purpose: Purpose;
  readonly wanted: number;
}

/** A call that has begun, with what it was for. */
interface Begun {
  readonly at: number;
  readonly purpose: Purpose;
}

const rates = constantFrom(1, 2, 3, 7, 10, 50, 99, 100, 101, 149, 150, 300, 999, 1_000, 1_501);
const purposes: Arbitrary<Purpose> = constantFrom('calendar', 'caller', 'exchange');
const asks: Arbitrary<readonly Ask[]> = array(
  record({
    after: record({
      asTold: boolean(),
      seconds: constantFrom(0, 0, 0.000_001, 0.001, 0.02, 0.1, 0.999_999, 1),
    }),
    purpose: purposes,
    wanted: constantFrom(1, 1, 2, 1_000),
  }),
  { minLength: 1, maxLength: 400 },
);

/** Asks one after the other, and takes what there is. */
function play(caps: Caps, script: readonly Ask[]): Begun[] {
  const begun: Begun[] = [];
  let pace = WIDE;
  let now = NOW;
  let toldS = 0;
  for (const { after, purpose, wanted } of script) {
    now += after.asTold ? toldS : after.seconds;
    const room = roomFor(pace, caps, purpose, { renewals: 0, exchanges: 0 }, now);
    toldS = room.waitS;
    const calls = Math.min(wanted, room.calls);
    if (calls > 0) pace = afterTaking(pace, caps, purpose, calls, now);
    for (let count = 0; count < calls; count += 1) begun.push({ at: now, purpose });
  }
  return begun;
}

/** The most that began within any half-open second. */
function mostInASecond(begun: readonly Begun[]): number {
  let first = 0;
  return begun.reduce((most, { at }, last) => {
    while ((begun[first]?.at ?? at) <= at - 1) first += 1;
    return Math.max(most, last - first + 1);
  }, 0);
}

/** Asks as often as it is told to, for all there is. */
function greedy(caps: Caps, purpose: Purpose, seconds: number): Begun[] {
  const begun: Begun[] = [];
  let pace = WIDE;
  for (let now = NOW; now < NOW + seconds;) {
    const { calls, waitS } = roomFor(pace, caps, purpose, { renewals: 0, exchanges: 0 }, now);
    pace = calls > 0 ? afterTaking(pace, caps, purpose, calls, now) : pace;
    for (let count = 0; count < calls; count += 1) begun.push({ at: now, purpose });
    now += Math.max(waitS, 1e-6);
  }
  return begun;
}

describe('the rate of a provider', () => {
  it.each([1, 2, 7, 50, 100, 101, 150, 999, 1_500])(
    'of %d a second is never passed in any second, and nearly reached',
    (ratePerSecond) => {
      const caps = { ratePerSecond, concurrency: 1_000 };
      const begun = greedy(caps, 'caller', 20);
      expect(mostInASecond(begun)).toBeLessThanOrEqual(ratePerSecond);
      // What the bucket's depth costs, for which it may be asked in batches.
      expect(begun.length).toBeGreaterThanOrEqual(20 * ratePerSecond * 0.9);
    },
  );

  it('is never passed in any second, however those who ask follow each other', () => {
    assert(
      property(rates, asks, (ratePerSecond, script) => {
        const begun = play({ ratePerSecond, concurrency: 1_000 }, script);
        return mostInASecond(begun) <= ratePerSecond;
      }),
      { numRuns: 1_000 },
    );
  });

  it('is left to the calendar up to four fifths, and to exchanges up to one', () => {
    assert(
      property(rates, asks, (ratePerSecond, script) => {
        const begun = play({ ratePerSecond, concurrency: 1_000 }, script);
        const exchanges = begun.filter(({ purpose }) => purpose === 'exchange');
        const ordinary = begun.filter(({ purpose }) => purpose !== 'caller');
        return (
          mostInASecond(ordinary) <= Math.ceil(ratePerSecond * 0.8) &&
          mostInASecond(exchanges) <= Math.ceil(ratePerSecond * 0.2)
        );
      }),
      { numRuns: 1_000 },
    );
    const long = greedy({ ratePerSecond: 300, concurrency: 1_000 }, 'calendar', 20);
    expect(long.length).toBeGreaterThan(20 * 240 * 0.9);
    expect(long.length).toBeLessThanOrEqual(20 * 240);
  });

  it('leaves room for a caller at once while the calendar takes all that it can', () => {
    let pace = WIDE;
    for (let now = NOW; now < NOW + 5; now += 0.004) {
      const room = roomFor(pace, CAPS, 'calendar', { renewals: 0, exchanges: 0 }, now);
      if (room.calls > 0) pace = afterTaking(pace, CAPS, 'calendar', room.calls, now);
      expect(roomFor(pace, CAPS, 'caller', { renewals: 0, exchanges: 0 }, now + 0.021).calls).toBeGreaterThan(
        0,
      );
    }
  });
});
