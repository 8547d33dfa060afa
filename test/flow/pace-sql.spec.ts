import { beforeAll, describe, expect, it } from '@jest/globals';
import { assert, asyncProperty, constantFrom, double, integer, oneof, option, record } from 'fast-check';
import {
  afterFailing,
  afterRateLimit,
  afterTaking,
  afterWorking,
  bucketsOf,
  rateLimitedSeconds,
  roomFor,
  type Caps,
  type Pace,
  type Purpose,
} from '../../src/token/pace.js';
import { ASKED, PACE_SQL, room, ROOM_COLUMNS, take } from '../../src/token/pace.sql.js';
import type { RoomRow } from '../../src/token/room.js';
import { useWorld } from '../support/world.js';

/** Epoch seconds at which the database's clock stands still. */
const NOW = 1_800_000_000;
/** Both sides round to a microsecond or less, a few times over. */
const ROUNDED_S = 5e-6;
const ONE = '00000000-0000-0000-0000-000000000001';

type Row = Record<'emptyAt' | 'ordinaryEmptyAt' | 'exchangeEmptyAt' | 'closedUntil', number> & {
  window: number;
  failures: number;
};

/** Seconds from now: a little while ago, long ago, by a statement that overtook, by a clock that was set back. */
const emptied = oneof(
  double({ min: -0.3, max: 0, noNaN: true }),
  constantFrom(-NOW, -3_600, 0.000_001, 0.7, 1.5, 86_400),
);
const closed = option(oneof(double({ min: -70, max: 70, noNaN: true }), constantFrom(0, 899, 901, 86_400)));
const paces = record({
  emptyAt: emptied,
  ordinaryEmptyAt: emptied,
  exchangeEmptyAt: emptied,
  window: integer({ min: 1, max: 1_200 }),
  failures: oneof(integer({ min: 0, max: 4 }), integer({ min: 5, max: 40 })),
  closedUntil: closed,
}).map((pace): Pace => {
  const at = (seconds: number): number => Math.round((NOW + seconds) * 1e6) / 1e6;
  return {
    ...pace,
    emptyAt: at(pace.emptyAt),
    ordinaryEmptyAt: at(pace.ordinaryEmptyAt),
    exchangeEmptyAt: at(pace.exchangeEmptyAt),
    closedUntil: pace.closedUntil === null ? 0 : at(pace.closedUntil),
  };
});
const anyCaps = record({
  ratePerSecond: constantFrom(1, 3, 50, 100, 333, 1_000, 20_000),
  concurrency: constantFrom(1, 2, 5, 20, 1_000),
});
const purposes = constantFrom<Purpose>('calendar', 'caller', 'exchange');

describe('the SQL of the pace', () => {
  const world = useWorld();

  beforeAll(async () => {
    await world.sql(
      `create or replace function broker_now() returns timestamptz language sql stable parallel safe
       as $$ select to_timestamp(${NOW}) $$`,
    );
  });

  /** `mine` and `others` are in flight; what somebody else had out when it was lost counts no more. */
  async function lay(pace: Pace, mine = 0, others = 0): Promise<void> {
    const calls = {
      me: { begun: 1_000 + mine, ended: 990, until: NOW + 1 },
      other: { begun: 50 + others, ended: 50, until: NOW + 1 },
      lost: { begun: 70, ended: 0, until: NOW - 1 },
    };
    await world.sql(`delete from provider_states`);
    await world.sql(
      `insert into provider_states (provider, empty_at, ordinary_empty_at, exchange_empty_at, call_window, failures,
         closed_until, closed_because, calls)
       values ('p', to_timestamp($1), to_timestamp($2), to_timestamp($3), $4, $5,
         case when $6::float8 > 0 then to_timestamp($6) end, 'rate_limited', $7)`,
      [
        pace.emptyAt,
        pace.ordinaryEmptyAt,
        pace.exchangeEmptyAt,
        pace.window,
        pace.failures,
        pace.closedUntil,
        calls,
      ],
    );
  }

  async function found(): Promise<Row> {
    const [row] = await world.sql<Row>(
      `select extract(epoch from empty_at)::float8 as "emptyAt", extract(epoch from ordinary_empty_at)::float8 as "ordinaryEmptyAt",
         extract(epoch from exchange_empty_at)::float8 as "exchangeEmptyAt", call_window as "window", failures,
         coalesce(extract(epoch from closed_until)::float8, 0) as "closedUntil"
       from provider_states`,
    );
    if (!row) throw new Error('the row is gone');
    return row;
  }

  async function expectPace(expected: Pace): Promise<void> {
    const row = await found();
    expect({ window: row.window, failures: row.failures }).toEqual({
      window: expected.window,
      failures: expected.failures,
    });
    for (const name of ['emptyAt', 'ordinaryEmptyAt', 'exchangeEmptyAt', 'closedUntil'] as const) {
      expect([name, Math.abs(row[name] - expected[name]) < ROUNDED_S, row[name], expected[name]]).toEqual([
        name,
        true,
        row[name],
        expected[name],
      ]);
    }
  }

  /** As a claim takes: up to $11 of the calls that there is room for. */
  async function takeUpTo(purpose: Purpose, caps: Caps, ended: number, wanted: number): Promise<RoomRow> {
    const { depth, perSecond } = bucketsOf(caps).all;
    const [row] = await world.sql<RoomRow & Record<string, unknown>>(
      `with ${ASKED}, ${room(purpose, 'true')}, used as (select least($11::integer, calls) as calls from room),
         ${take(purpose)}
       select ${ROOM_COLUMNS} from asked left join room on true`,
      ['p', 'owner', 20, 'me', ended, depth, perSecond, caps.concurrency, true, 'credentials', wanted],
    );
    if (!row) throw new Error('no row');
    return row;
  }

  it('gives the same room, the same wait and the same next pace as the pure form', async () => {
    const inFlight = record({ mine: integer({ min: 0, max: 3 }), others: constantFrom(0, 0, 1, 15, 900) });
    await assert(
      asyncProperty(paces, anyCaps, purposes, inFlight, integer({ min: 1, max: 500 }), async (...drawn) => {
        const [pace, caps, purpose, { mine, others }, wanted] = drawn;
        await lay(pace, mine, others);
        // 990 had ended when that was last written down, 1,000 have by now.
        const row = await takeUpTo(purpose, caps, 1_000, wanted);

        const around = [-ROUNDED_S, 0, ROUNDED_S].map(
          (s) => roomFor(pace, caps, purpose, { renewals: mine + others, exchanges: 0 }, NOW + s).calls,
        );
        const { waitS } = roomFor(pace, caps, purpose, { renewals: mine + others, exchanges: 0 }, NOW);
        expect(around).toContain(row.roomCalls);
        expect(Math.abs(row.roomWaitS - (row.roomCalls === around[1] ? waitS : row.roomWaitS))).toBeLessThan(
          ROUNDED_S,
        );
        expect(row.roomAt).toBeCloseTo(NOW, 6);

        const taken = Math.min(wanted, row.roomCalls ?? 0);
        await expectPace(taken > 0 ? afterTaking(pace, caps, purpose, taken, NOW) : pace);
        if (taken > 0) {
          const [count] = await world.sql(`select calls from provider_states`);
          expect(count).toMatchObject({
            calls: {
              me: { begun: 1_000 + mine + taken, ended: 1_000 },
              other: { begun: 50 + others, ended: 50 },
            },
          });
          expect(Object.keys(count?.['calls'] as object).sort()).toEqual(['me', 'other']);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('takes what worked, failed and was too much into account as the pure form does', async () => {
    const outcomes = constantFrom<'worked' | 'failed' | 'rate limit'>('worked', 'failed', 'rate limit');
    const begun = oneof(constantFrom(0, 1), double({ min: -100, max: 0, noNaN: true }));
    const fraction = integer({ min: 0, max: 999 }).map((thousandths) => thousandths / 1_000);
    await assert(
      asyncProperty(paces, anyCaps, outcomes, begun, fraction, async (pace, caps, outcome, begunS, drawn) => {
        await lay(pace);
        const begunAt = Math.round((NOW + begunS) * 1e6) / 1e6;
        if (outcome === 'worked') {
          await world.sql(PACE_SQL.worked.text, ['p', caps.concurrency, begunAt]);
          // Where all is well there is nothing to write.
          const isNews = pace.failures > 0 || pace.window < caps.concurrency;
          await expectPace(isNews ? afterWorking(pace, caps, begunAt, NOW) : pace);
        } else if (outcome === 'failed') {
          await world.sql(PACE_SQL.failed.text, ['p', ONE, drawn, begunAt]);
          const after = afterFailing(pace, begunAt, NOW, drawn);
          await expectPace(after);
          // The same connection again says nothing new.
          await world.sql(PACE_SQL.failed.text, ['p', ONE, drawn, begunAt]);
          await expectPace(after);
        } else {
          const retryAfterS = drawn < 0.2 ? null : Math.round(drawn * 1_000);
          await world.sql(PACE_SQL.rateLimited.text, ['p', rateLimitedSeconds(retryAfterS)]);
          await expectPace(afterRateLimit(pace, retryAfterS, NOW));
        }
      }),
      { numRuns: 400 },
    );
  });
});
