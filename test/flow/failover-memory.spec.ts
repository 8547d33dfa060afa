import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Sealed } from '../../src/shared/secret.js';
import { placeOf } from '../../src/token/connection.js';
import { RecentWrites } from '../../src/token/recent-writes.js';
import { Vault } from '../../src/vault/vault.js';
import { eventually, type Json } from '../support/http.js';
import { KeyOperator } from '../support/keys.js';
import { useWorld, type LocalBroker } from '../support/world.js';

type Row = Json & { id: string };

/** Columns of bytes compare as text, and times as numbers. */
const ROW = `select *, sealed_token::text as token, sealed_grant::text as "grant", lease_epoch::int as epoch,
  extract(epoch from issued_at)::float8 as issued, extract(epoch from expires_at)::float8 as expires from connections`;

describe('a failover that forgets the last commits', () => {
  const world = useWorld();
  let broker: LocalBroker;
  const keys = new KeyOperator(world, () => broker);

  beforeAll(async () => {
    broker = await world.local();
  });

  beforeEach(async () => {
    await world.settle(broker);
    // What was written in the test before is remembered for a minute.
    await world.advance(61);
    await world.sql('truncate connections, provider_states');
  });

  async function row(): Promise<Row> {
    const [found] = await world.sql<Row>(ROW);
    if (!found) throw new Error('there is no connection');
    return found;
  }

  const renew = async (): Promise<unknown> =>
    world.api(broker, 'POST', `/v1/connections/${(await row()).id}/renew`);
  const check = (): Promise<number> => broker.broker.app.get(RecentWrites).check();

  /** The row as it was before, whatever was written since. */
  async function forget(former: Row): Promise<void> {
    await world.sql('delete from connections');
    const columns = `id, provider, company_id, location_id, status, status_reason, scopes, grant_version, sealed_grant,
      token_version, sealed_token, token_type, token_fingerprint, issued_at, expires_at, renewed_lifetime_s, renew_at,
      last_renewed_at, lease_owner, lease_until, lease_epoch, attempts, refresh_token_kept`;
    await world.sql(
      `insert into connections (${columns}) select ${columns} from jsonb_populate_record(null::connections, $1::jsonb)`,
      [JSON.stringify(former['whole'])],
    );
  }

  /** What a standby had, that lagged behind at this moment. */
  async function standby(): Promise<Row> {
    const [found] = await world.sql<Row>('select id, to_jsonb(c) as whole from connections c');
    if (!found) throw new Error('there is no connection');
    return found;
  }

  /** Ends all connections to the database, as a failover does. */
  const cut = (): Promise<unknown> =>
    world.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    );

  /** What must be the same again. */
  const content = ({
    token,
    grant,
    token_version,
    grant_version,
    status,
    refresh_token_kept,
  }: Json): Json => ({
    token,
    grant,
    token_version,
    grant_version,
    status,
    refresh_token_kept,
  });

  it('is noticed when the connections come back: a renewal is written again, no younger than it is', async () => {
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await world.install(broker, '42');
    const before = await standby();
    await renew();
    const kept = await row();
    await world.advance(30);
    await forget(before);
    expect((await row())['token_version']).toBe(1);
    await cut();
    await eventually(async () => (await row())['token_version'] === 2);
    const again = await row();
    expect(content(again)).toEqual(content(kept));
    // Written 30 s later, it is 30 s old; the way there takes a moment more.
    expect(Math.abs(Number(again['issued']) - Number(kept['issued']))).toBeLessThan(1);
    expect(Math.abs(Number(again['expires']) - Number(kept['expires']))).toBeLessThan(1);
    expect(world.logs.some((line) => line.includes('had forgotten 1 of the last writes'))).toBe(true);
    // The refresh token that came is the one that works.
    await renew();
    expect(await row()).toMatchObject({ token_version: 3, status: 'active' });
  });

  it('loses neither of two versions in a row, whether the claim between them is forgotten or not', async () => {
    await world.install(broker, '42');
    const first = await standby();
    await renew();
    const second = await standby();
    await renew();
    const kept = await row();
    await forget(first);
    expect(await check()).toBe(2);
    expect(content(await row())).toEqual(content(kept));
    await forget(second);
    expect(await check()).toBe(1);
    expect(content(await row())).toEqual(content(kept));
    expect(await check()).toBe(0);
  });

  it('loses no renewal whose claim it remembers, and only its token not', async () => {
    await world.install(broker, '42');
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      times: 1,
      hold_until_released: true,
    });
    const renewing = renew();
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    const claimed = await standby();
    await world.simulator.control('POST', 'release');
    await renewing;
    const kept = await row();
    await forget(claimed);
    expect(await check()).toBe(1);
    const again = await row();
    expect(content(again)).toEqual(content(kept));
    expect(again).toMatchObject({ lease_owner: null, lease_until: null });
  });

  /** Renewals that each bring another refresh token with the same access token; what a standby had after each. */
  async function renewToTheSame(times: number): Promise<Row[]> {
    const rows: Row[] = [];
    for (let turn = 1; turn <= times; turn += 1) {
      await world.simulator.fault({
        provider: 'fynd',
        operation: 'renew',
        times: 1,
        status: 200,
        body: {
          access_token: 'test-secret-same',
          refresh_token: `test-secret-refresh-${turn}`,
          expires_in: 3_600,
        },
      });
      await renew();
      rows.push(await standby());
    }
    return rows;
  }

  it('loses no refresh token that came with the same access token', async () => {
    await world.install(broker, '42');
    const [former] = await renewToTheSame(3);
    const kept = await row();
    expect(kept['token_version']).toBe(2);
    if (former) await forget(former);
    expect((await row())['grant']).not.toBe(kept['grant']);
    await check();
    expect((await row())['grant']).toBe(kept['grant']);
  });

  it('nor one that the row has not, whichever key has sealed what it has', async () => {
    await world.install(broker, '42');
    const [former] = await renewToTheSame(2);
    if (former) await forget(former);
    await keys.rotate();
    await keys.allMoved();
    expect(await check()).toBe(1);
    const { id, sealed_grant: sealed } = await row();
    const place = placeOf({ id, provider: 'fynd', companyId: '42' }, 'sealed_grant');
    const grant = broker.broker.app.get(Vault).open(sealed as Sealed, place);
    expect(grant.reveal()).toContain('test-secret-refresh-2');
  });

  it('misses nothing where a row was sealed anew meanwhile', async () => {
    await world.install(broker, '42');
    await renewToTheSame(2);
    const kept = await row();
    await keys.rotate();
    await keys.allMoved();
    const anew = await row();
    expect([anew['token'] === kept['token'], anew['grant'] === kept['grant']]).toEqual([false, false]);
    expect(await check()).toBe(0);
    expect(await row()).toEqual(anew);
  });

  it('loses neither a consent whose row it does not know at all, nor the renewal after it', async () => {
    await world.install(broker, '42');
    await renew();
    const kept = await row();
    await world.advance(20);
    await world.sql('delete from connections');
    expect(await check()).toBe(2);
    const again = await row();
    expect(content(again)).toEqual(content(kept));
    expect(again.id).toBe(kept.id);
    expect(Math.abs(Number(again['expires']) - Number(kept['expires']))).toBeLessThan(1);
    expect((await world.api(broker, 'GET', '/v1/tokens/fynd/companies/42')).status).toBe(200);
  });

  it('revives nothing that was revoked', async () => {
    await world.install(broker, '42');
    const before = await standby();
    await world.api(broker, 'DELETE', `/v1/connections/${before.id}`);
    await forget(before);
    expect(await check()).toBe(1);
    expect(await row()).toMatchObject({ status: 'revoked', sealed_grant: null, sealed_token: null });
  });

  it('gets nothing older than it has: neither over a new consent, nor over a newer token', async () => {
    await world.install(broker, '42');
    await renew();
    const other = await world.local();
    await world.install(other, '42');
    await world.api(other, 'POST', `/v1/connections/${(await row()).id}/renew`);
    const newest = await row();
    expect(await check()).toBe(0);
    expect(await row()).toEqual(newest);
    await other.broker.stop();
  });

  it('gets nothing back that is older than a minute', async () => {
    await world.install(broker, '42');
    const before = await standby();
    await renew();
    await world.advance(61);
    await forget(before);
    expect(await check()).toBe(0);
    expect((await row())['token_version']).toBe(1);
  });

  it('is remembered in bounded memory: the oldest of very many writes are let go', async () => {
    const recent = broker.broker.app.get(RecentWrites);
    const asked = new Set<number>();
    for (let index = 0; index < 20_500; index += 1) {
      recent.remember({
        id: '00000000-0000-4000-8000-000000000000',
        isThere: () => {
          asked.add(index);
          return true;
        },
        again: () => Promise.resolve(),
      });
    }
    await check();
    expect([asked.size, Math.min(...asked)]).toEqual([20_000, 500]);
  });
});
