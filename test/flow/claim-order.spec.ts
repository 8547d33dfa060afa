import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { CallsInFlight } from '../../src/token/calls-in-flight.js';
import { compareDue } from '../../src/token/due-order.js';
import { LeaseStore } from '../../src/token/lease.store.js';
import type { Asking } from '../../src/token/pace.store.js';
import { useWorld } from '../support/world.js';

/** Epoch seconds at which the test begins; the database's clock stands still in between. */
const START = 1_800_000_000;
const ROWS = 10_000;
/** How many are claimed at a time, over and over. */
const BATCHES = [1, 2, 1, 7, 40, 1, 300, 13, 800, 1];

/** A connection as far as the claim looks at it; times in epoch seconds. */
interface Row {
  readonly id: string;
  readonly expiresAt: number | null;
  readonly provider: string;
  readonly status: string;
  readonly hasGrant: boolean;
  renewAt: number | null;
  leaseOwner: string | null;
  leaseUntil: number | null;
}

/** A small generator of its own (mulberry32), so that a failure can be seen again. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `dueShare` is the part of the rows whose time has come, `livingShare` that of the tokens that have not expired. */
function anyRow(random: () => number, dueShare: number, livingShare: number): Row {
  const status = pick(random, [
    'active',
    'active',
    'active',
    'suspect',
    'paused',
    'revoked',
    'reauthorization_required',
  ]);
  // In steps of 20 s, so that many are equal.
  const endsIn = 20 * Math.floor((random() - (random() < livingShare ? 0 : 1)) * 100);
  // What is paused or dead is never tried by itself, but for some dead ones.
  const isTried = ['active', 'suspect'].includes(status) || (status !== 'paused' && random() < 0.3);
  const renewIn = random() < dueShare ? -Math.floor(random() * 9_000) : 1 + Math.floor(random() * 3_000);
  const leaseIn = pick(random, [null, null, null, 20, 5, 0, -3]);
  return {
    id: randomUUID(),
    provider: random() < 0.9 ? 'any' : 'another',
    status,
    hasGrant: status !== 'revoked' && random() < 0.95,
    expiresAt: random() < livingShare / 10 ? null : START + endsIn,
    renewAt: isTried ? START + renewIn : null,
    leaseOwner: leaseIn === null ? null : 'somebody',
    leaseUntil: leaseIn === null ? null : START + leaseIn,
  };
}

function pick<T>(random: () => number, from: readonly [T, ...T[]]): T {
  return from[Math.floor(random() * from.length)] ?? from[0];
}

/** What the pure order would claim of these. */
function claimPurely(rows: readonly Row[], limit: number, now: number): Row[] {
  return rows
    .filter(
      ({ provider, hasGrant, renewAt, leaseUntil }) =>
        provider === 'any' &&
        hasGrant &&
        renewAt !== null &&
        renewAt <= now &&
        (leaseUntil === null || leaseUntil <= now),
    )
    .map((row) => ({ row, due: { id: row.id, expiresAt: row.expiresAt, dueAt: row.renewAt ?? 0 } }))
    .sort((a, b) => compareDue(a.due, b.due, now))
    .map(({ row }) => row)
    .slice(0, limit);
}

describe('the SQL claim of what is due', () => {
  const world = useWorld();
  let leases: LeaseStore;
  let calls: CallsInFlight;
  let asking: Asking;

  beforeAll(async () => {
    const { broker } = await world.local();
    // Whoever has just started leaves the leases of others alone for a term.
    world.clock.advance(3_600);
    leases = broker.app.get(LeaseStore);
    calls = broker.app.get(CallsInFlight);
    const { settings } = broker.app.get(ProviderRegistry).get('fynd');
    asking = {
      // Wide enough for every batch: what this is about is the order.
      settings: { ...settings, name: 'any', ratePerSecond: 999_999, concurrency: 1_000 },
      credentials: 'credentials',
    };
  });

  async function setClock(now: number): Promise<void> {
    await world.sql(
      `create or replace function broker_now() returns timestamptz language sql stable parallel safe
       as $$ select to_timestamp(${now}) $$`,
    );
  }

  async function lay(rows: readonly Row[]): Promise<void> {
    await setClock(START);
    await world.sql('truncate connections, provider_states');
    await world.sql(`insert into provider_states (provider, call_window) values ('any', 1000)`);
    await world.sql(
      `insert into connections (id, provider, company_id, status, sealed_grant, expires_at, renew_at, lease_owner, lease_until)
       select id, provider, id::text, status, case when "hasGrant" then 'x'::bytea end, to_timestamp("expiresAt"),
         to_timestamp("renewAt"), "leaseOwner", to_timestamp("leaseUntil")
       from jsonb_to_recordset($1) as row (id uuid, provider text, status text, "hasGrant" boolean, "expiresAt" float8,
         "renewAt" float8, "leaseOwner" text, "leaseUntil" float8)`,
      [JSON.stringify(rows)],
    );
    await world.sql('analyze connections');
  }

  it.each([
    ['a backlog of a few', 0.03, 0.5],
    ['a backlog of a few, of which little lives', 0.04, 0.05],
    ['a backlog that is just long enough to be read in order', 0.12, 0.5],
    ['a long backlog', 0.5, 0.5],
    ['a long backlog in which little lives', 0.5, 0.05],
    ['everything, and next to nothing lives', 1, 0.01],
  ])('takes the same as the pure order does, batch after batch: %s', async (_, dueShare, livingShare) => {
    const random = seeded(dueShare * 100);
    const rows = Array.from({ length: ROWS }, () => anyRow(random, dueShare, livingShare));
    await lay(rows);

    let now = START;
    let taken = 0;
    for (const limit of BATCHES) {
      const expected = claimPurely(rows, limit, now);
      const { claimed, begun } = await leases.claimDue(asking, limit);
      claimed.forEach(() => calls.end(begun));
      expect(claimed.map(({ id }) => id).sort()).toEqual(expected.map(({ id }) => id).sort());
      const crashed = expected.filter(({ leaseOwner }) => leaseOwner !== null).map(({ id }) => id);
      expect(
        claimed
          .filter((row) => row.crashed)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(crashed.sort());

      const leaseS = (2 * asking.settings.timeoutMs) / 1_000;
      for (const row of expected) {
        row.leaseOwner = 'us';
        row.leaseUntil = row.renewAt = now + leaseS;
      }
      // Some tokens expire, some leases run out, and some more is due.
      await setClock((now += 3));
      taken += claimed.length;
    }
    expect(taken).toBeGreaterThan(100);
  });
});
