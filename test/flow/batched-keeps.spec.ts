import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { Sealed } from '../../src/shared/secret.js';
import { ConnectionStore } from '../../src/token/connection.store.js';
import type { ClaimedConnection } from '../../src/token/connection.js';
import type { KeptRow } from '../../src/token/kept-row.js';
import type { KeptRenewal } from '../../src/token/kept-grant.js';
import { LeaseStore } from '../../src/token/lease.store.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** Holds up the statement that keeps company 1, refuses that of company 13, and counts what each statement keeps. */
const TRIGGERS = `
  create table keeps (n integer);
  create function slow_or_poisoned() returns trigger language plpgsql as $$ begin
    if new.company_id = '1' then perform pg_advisory_xact_lock(7); end if;
    if new.company_id = '13' then raise exception 'poisoned'; end if;
    return new; end $$;
  create trigger slow before update on connections for each row
    when (new.token_version > old.token_version) execute function slow_or_poisoned();
  create function count_kept() returns trigger language plpgsql as $$ begin
    insert into keeps select n from (select count(*) as n from changed where token_version > 1) t where n > 0;
    return null; end $$;
  create trigger counted after update on connections referencing new table as changed
    for each statement execute function count_kept()`;

describe('renewals that are kept while another is being written', () => {
  const world = useWorld();
  let broker: LocalBroker;
  let other: Client;
  const crowd = new Crowd(world, () => broker);

  beforeAll(async () => {
    broker = await world.local();
    await broker.broker.app.get(RenewalSchedule).stop();
    await world.sql(TRIGGERS);
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states, keeps');
    other = new Client({ connectionString: world.databaseUrl });
    await other.connect();
    await other.query('begin; select pg_advisory_xact_lock(7)');
  });

  afterEach(() => other.end());

  const renewal = (name: string, changes: Partial<KeptRenewal> = {}): KeptRenewal => ({
    sealedToken: Buffer.from(`token ${name}`) as Sealed,
    tokenType: 'Bearer',
    fingerprint: name,
    ageS: 1,
    lifetimeS: 3_600,
    renewAfterS: 2_000,
    scopes: null,
    sealedGrant: null,
    refreshTokenKept: null,
    ...changes,
  });

  const keep = (claimed: ClaimedConnection, changes?: Partial<KeptRenewal>): Promise<KeptRow | undefined> =>
    broker.broker.app.get(LeaseStore).keepToken(claimed, renewal(claimed.companyId, changes));

  /** Connections of the companies from `first`, as they are. */
  async function members(count: number, first: number): Promise<ClaimedConnection[]> {
    await crowd.ofKonnect(count, { provider: 'konnect', first, renewInS: 600 });
    const rows = await world.sql<{ id: string }>(
      'select id from connections where company_id::int >= $1 order by company_id::int limit $2',
      [first, count],
    );
    const found = await Promise.all(
      rows.map(({ id }) => broker.broker.app.get(ConnectionStore).findById(id)),
    );
    return found.flatMap((row) => (row ? [{ ...row, crashed: false, unansweredS: null }] : []));
  }

  /** Begins to keep company 1, which stays under way until `letGo`. */
  async function slowOne(): Promise<{ letGo: () => Promise<KeptRow | undefined> }> {
    const [one] = await members(1, 1);
    if (!one) throw new Error('there is no first one');
    const kept = keep(one);
    await eventually(
      async () =>
        (await world.sql(`select 1 from pg_locks where locktype = 'advisory' and not granted`)).length,
    );
    return { letGo: async () => other.query('rollback').then(() => kept) };
  }

  const statements = async (): Promise<unknown[]> =>
    (await world.sql<Json>('select n from keeps order by n')).map(({ n }) => n);

  it('are kept in one statement, each as if it were alone', async () => {
    const slow = await slowOne();
    const rows = await members(40, 20);
    const scopes = [null, [], ['a'], ['b "c", {d} \\ é', 'NULL', 'e']];
    const changes = rows.map((_, index): Partial<KeptRenewal> => ({
      scopes: scopes[index % 4] ?? null,
      lifetimeS: index % 3 ? 1_000 + index : null,
      renewAfterS: index % 5 ? 500 + index : null,
      ageS: index,
      sealedGrant: index % 2 ? (Buffer.from(`grant ${index}`) as Sealed) : null,
      refreshTokenKept: [null, true, false][index % 3] ?? null,
    }));
    const keeping = rows.map((row, index) => keep(row, changes[index]));
    await slow.letGo();
    await Promise.all(keeping);
    expect(await statements()).toEqual([1, 40]);
    const kept = await Promise.all(rows.map(({ id }) => broker.broker.app.get(ConnectionStore).findById(id)));
    kept.forEach((row, index) => {
      const [former, change] = [rows[index], changes[index]];
      const after = (seconds?: number | null): unknown =>
        typeof seconds === 'number'
          ? expect.closeTo((row?.lastRenewedAt?.getTime() ?? 0) + (seconds - index) * 1_000, -4)
          : undefined;
      expect({ ...row, expires: row?.expiresAt?.getTime(), renew: row?.renewAt?.getTime() }).toMatchObject({
        id: former?.id,
        tokenVersion: 2,
        tokenFingerprint: former?.companyId,
        sealedToken: Buffer.from(`token ${former?.companyId}`),
        scopes: change?.scopes ?? ['company/products'],
        sealedGrant: change?.sealedGrant ?? former?.sealedGrant,
        refreshTokenKept: change?.refreshTokenKept ?? null,
        renewedLifetimeS: change?.lifetimeS,
        expires: after(change?.lifetimeS),
        renew: after(change?.renewAfterS),
      });
    });
  });

  it('stand each under its own fence, and do not wait for a row that is locked', async () => {
    const slow = await slowOne();
    const [changed, revoked, locked, ...rows] = await members(10, 20);
    if (!changed || !revoked || !locked) throw new Error('there are too few');
    const [refused, dead, waiting] = [keep(changed), keep(revoked), keep(locked)];
    const keeping = rows.map((row) => keep(row));
    await world.sql('update connections set lease_epoch = 9, grant_version = 9 where id = $1', [changed.id]);
    await world.sql(
      `update connections set status = 'revoked', sealed_grant = null, sealed_token = null where id = $1`,
      [revoked.id],
    );
    await world.sql('begin');
    await world.sql('select 1 from connections where id = $1 for update', [locked.id]);
    await slow.letGo();
    expect((await Promise.all(keeping)).map((row) => row?.tokenVersion)).toEqual(rows.map(() => 2));
    await world.sql('commit');
    expect([await refused, await dead]).toEqual([undefined, undefined]);
    expect((await waiting)?.tokenVersion).toBe(2);
  });

  it('are not taken along by one that the database refuses', async () => {
    const slow = await slowOne();
    const [poisoned, ...rows] = await members(10, 13);
    if (!poisoned) throw new Error('there is none');
    const refused = keep(poisoned).catch((error: unknown) => String(error));
    const keeping = rows.map((row) => keep(row));
    await slow.letGo();
    expect(await refused).toContain('poisoned');
    expect((await Promise.all(keeping)).map((row) => row?.tokenVersion)).toEqual(rows.map(() => 2));
  });

  it('of the same connection are kept one after the other, so that the fence stands between them', async () => {
    const slow = await slowOne();
    const [row] = await members(1, 20);
    if (!row) throw new Error('there is none');
    const first = keep(row);
    const late = keep({ ...row, leaseEpoch: '0' }, { fingerprint: 'late' });
    await slow.letGo();
    expect((await first)?.tokenVersion).toBe(2);
    expect(await late).toBeUndefined();
  });

  it('are told to the replicas one by one', async () => {
    const slow = await slowOne();
    const listening = new Client({ connectionString: world.databaseUrl });
    await listening.connect();
    const told = new Set<string | undefined>();
    const rows = await members(10, 20);
    listening.on('notification', ({ payload }) => told.add(payload));
    await listening.query('listen connections');
    const keeping = rows.map((row) => keep(row));
    await slow.letGo();
    await Promise.all(keeping);
    await eventually(() => rows.every(({ id }) => told.has(id)));
    // And the slow one, which was kept first.
    expect(told.size).toBe(rows.length + 1);
    await listening.end();
  });
});
