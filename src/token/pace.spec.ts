import { describe, expect, it } from '@jest/globals';
import { array, assert, constantFrom, double, integer, property, type Arbitrary } from 'fast-check';
import {
  afterFailing,
  afterRateLimit,
  afterTaking,
  afterWorking,
  bucketsOf,
  FAILURES_TO_CLOSE,
  FRESH_PACE,
  MOST_CLOSED_S,
  MOST_RATE_LIMITED_S,
  RATE_LIMITED_S,
  roomFor,
  type Caps,
  type Pace,
  type Purpose,
} from './pace.js';

/** Epoch seconds of today, which leave a double about as much room as PostgreSQL has: a quarter of a microsecond. */
const NOW = 1_800_000_000;
const CAPS: Caps = { ratePerSecond: 50, concurrency: 20 };
/** A provider that has worked for long. */
const WIDE: Pace = { ...FRESH_PACE, window: 1_000 };

const fraction = double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const purposes: Arbitrary<Purpose> = constantFrom('calendar', 'caller', 'exchange');

function fail(pace: Pace, times: number, begunAt = NOW, now = NOW): Pace {
  return Array.from({ length: times }).reduce<Pace>((after) => afterFailing(after, begunAt, now, 0.5), pace);
}

describe('the calls in flight', () => {
  it.each([
    [1, 1],
    [2, 1],
    [5, 4],
    [20, 16],
    [1_000, 800],
  ])('of a cap of %i are up to %i for the calendar, and all for callers', (concurrency, forCalendar) => {
    const caps = { ratePerSecond: 100_000, concurrency };
    const now = NOW + 1;
    expect(roomFor(WIDE, caps, 'calendar', { renewals: 0, exchanges: 0 }, now).calls).toBe(forCalendar);
    expect(roomFor(WIDE, caps, 'calendar', { renewals: forCalendar, exchanges: 0 }, now).calls).toBe(0);
    expect(roomFor(WIDE, caps, 'caller', { renewals: 0, exchanges: 0 }, now).calls).toBe(concurrency);
    expect(roomFor(WIDE, caps, 'caller', { renewals: concurrency, exchanges: 0 }, now)).toEqual({
      calls: 0,
      waitS: 0.25,
    });
  });

  it('are one at first, and twice as many with each that works', () => {
    const calls: number[] = [];
    let pace = FRESH_PACE;
    for (let worked = 0; worked < 7; worked += 1) {
      calls.push(
        roomFor(
          pace,
          { ...CAPS, ratePerSecond: 100_000 },
          'caller',
          { renewals: 0, exchanges: 0 },
          NOW + worked,
        ).calls,
      );
      pace = afterWorking(pace, CAPS, NOW + worked, NOW + worked);
    }
    expect(calls).toEqual([1, 2, 4, 8, 16, 20, 20]);
  });

  it('are one after every closed period, and nothing begins before its end', () => {
    assert(
      property(
        constantFrom('failures', 'rate limit'),
        integer({ min: 1, max: 900 }),
        fraction,
        constantFrom<Purpose>('calendar', 'caller'),
        (why, retryAfterS, drawn, purpose) => {
          const open = { ...WIDE, failures: FAILURES_TO_CLOSE - 1 };
          const closed =
            why === 'failures' ? afterFailing(open, NOW, NOW, drawn) : afterRateLimit(open, retryAfterS, NOW);
          const lastS = closed.closedUntil - NOW;
          const during = roomFor(
            closed,
            CAPS,
            purpose,
            { renewals: 0, exchanges: 0 },
            NOW + lastS * drawn * 0.99,
          );
          const after = roomFor(closed, CAPS, purpose, { renewals: 0, exchanges: 0 }, closed.closedUntil);
          return (
            lastS > 0 &&
            during.calls === 0 &&
            Math.abs(during.waitS - lastS * (1 - drawn * 0.99)) < 1e-5 &&
            after.calls === 1 &&
            roomFor(closed, CAPS, purpose, { renewals: 1, exchanges: 0 }, closed.closedUntil).calls === 0
          );
        },
      ),
    );
  });

  it('stay one while only those come back that began before the provider was closed', () => {
    const closed = afterRateLimit(WIDE, 10, NOW);
    const straggled = [1, 5, 10, 15].reduce((pace, s) => afterWorking(pace, CAPS, NOW - 1, NOW + s), closed);
    expect(roomFor(straggled, CAPS, 'caller', { renewals: 0, exchanges: 0 }, NOW + 16).calls).toBe(1);
    expect(afterWorking(straggled, CAPS, NOW + 10, NOW + 16).window).toBe(2);
  });
});

describe('a provider whose way fails', () => {
  it('is closed after five in a row, for one second at first and one minute at most, a random part of it', () => {
    const periods: number[] = [];
    let pace = fail(WIDE, FAILURES_TO_CLOSE - 1);
    expect(roomFor(pace, CAPS, 'caller', { renewals: 0, exchanges: 0 }, NOW).calls).toBeGreaterThan(0);
    for (let now = NOW; periods.length < 9; now = pace.closedUntil) {
      pace = afterFailing(pace, now, now, 1 - Number.EPSILON);
      periods.push(Math.round((pace.closedUntil - now) * 1_000) / 1_000);
    }
    expect(periods).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
    expect(afterFailing(pace, pace.closedUntil, pace.closedUntil, 0).closedUntil - pace.closedUntil).toBe(30);
  });

  it('is closed no further by what was under way, however late that fails', () => {
    const stragglers = array(double({ min: 0, max: 30, noNaN: true }), { maxLength: 200 });
    assert(
      property(stragglers, fraction, (failTimes, drawn) => {
        const closed = afterFailing(fail(WIDE, FAILURES_TO_CLOSE - 1), NOW, NOW, drawn);
        const after = failTimes.reduce((pace, s) => afterFailing(pace, NOW - 1, NOW + s, drawn), closed);
        return after === closed;
      }),
    );
  });

  it('is not closed by failures between which anything works: a token, or a verdict on a grant', () => {
    assert(
      property(
        array(integer({ min: 0, max: FAILURES_TO_CLOSE - 1 }), { maxLength: 50 }),
        (failuresBetween) => {
          const pace = failuresBetween.reduce(
            (before, times) => afterWorking(fail(before, times), CAPS, NOW, NOW),
            WIDE,
          );
          return pace.closedUntil === 0 && pace.failures === 0;
        },
      ),
    );
  });

  it('that says it is asked too often is left alone for as long as it says, or five seconds, or a quarter of an hour', () => {
    const closedS = (said: number | null): number => afterRateLimit(WIDE, said, NOW).closedUntil - NOW;
    expect([null, 0, 0.5, 30, 900, 86_400].map(closedS)).toEqual([
      RATE_LIMITED_S,
      1,
      1,
      30,
      900,
      MOST_RATE_LIMITED_S,
    ]);
    const longer = afterRateLimit(afterRateLimit(WIDE, 60, NOW), 1, NOW);
    expect(longer.closedUntil).toBe(NOW + 60);
  });
});

describe('a clock', () => {
  const used = (purpose: Purpose): Pace => afterTaking(WIDE, CAPS, purpose, 1, NOW);

  it('that is set back holds nobody up, however far', () => {
    assert(
      property(double({ min: 2, max: 100_000_000, noNaN: true }), purposes, (backS, purpose) => {
        const now = NOW - backS;
        const room = roomFor(used(purpose), CAPS, purpose, { renewals: 0, exchanges: 0 }, now);
        const taken = afterTaking(used(purpose), CAPS, purpose, room.calls, now);
        return (
          room.calls >= 1 &&
          room.calls <= bucketsOf(CAPS).all.depth &&
          roomFor(taken, CAPS, purpose, { renewals: 0, exchanges: 0 }, now).calls === 0 &&
          roomFor(taken, CAPS, purpose, { renewals: 0, exchanges: 0 }, now + 1).calls > 0
        );
      }),
    );
  });

  it('that is set back while a provider is closed ends that, where it would last longer than any closing does', () => {
    for (const closed of [fail(WIDE, FAILURES_TO_CLOSE), afterRateLimit(WIDE, 900, NOW)]) {
      const past = NOW - 86_400;
      expect(roomFor(closed, CAPS, 'caller', { renewals: 0, exchanges: 0 }, past).calls).toBe(1);
      expect(afterWorking(closed, CAPS, past, past).window).toBe(2);
      expect(afterFailing(closed, past, past, 0.5)).not.toBe(closed);
      expect(afterRateLimit(closed, 5, past).closedUntil).toBe(past + 5);
    }
    expect(
      roomFor(fail(WIDE, 50), CAPS, 'caller', { renewals: 0, exchanges: 0 }, NOW - 1).waitS,
    ).toBeLessThan(MOST_CLOSED_S + 2);
  });

  it('that jumps ahead brings no more than the depth of the bucket', () => {
    const caps = { ratePerSecond: 1_000, concurrency: 1_000 };
    const { depth } = bucketsOf(caps).all;
    expect(depth).toBe(100);
    expect(roomFor(used('caller'), caps, 'caller', { renewals: 0, exchanges: 0 }, NOW + 86_400).calls).toBe(
      depth,
    );
  });

  it('by which statements overtake each other for a moment lets none take more', () => {
    const pace = used('caller');
    expect(roomFor(pace, CAPS, 'caller', { renewals: 0, exchanges: 0 }, NOW - 0.5).calls).toBe(0);
  });
});
