import { describe, expect, it } from '@jest/globals';
import type { ProviderNews } from '../../src/provider/observations.js';
import { ProviderStateStore } from '../../src/token/provider-state.store.js';
import { ask, eventually, type Json } from '../support/http.js';
import { useOperator } from '../support/operator.js';
import { API_SECRET, useWorld } from '../support/world.js';

const NINETY_DAYS_MS = 90 * 86_400_000;

const world = useWorld();
const operator = useOperator(world);
const refusing = (fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });

describe('what a provider was seen to do', () => {
  it.each([
    ['document', 'none', 'none'],
    ['library', 'strict', 'rotating'],
  ])('in the dialect %s, with rotation %s', async (dialect, rotation, observed) => {
    await world.simulator.settings('fynd', { dialects: [dialect], rotation, token_ttl: 1_234 });
    await world.install(operator.broker, '42');
    expect(await operator.look('fynd')).toMatchObject({ rotation_observed: null, lifetime_observed: null });
    expect((await operator.renewNow()).body).toMatchObject({ token_version: 2, last_error: null });
    const seen = {
      status: 'ok',
      renewal_dialect: dialect,
      rotation_observed: observed,
      lifetime_observed: 1_234,
      last_error: null,
    };
    expect(await operator.look('fynd')).toMatchObject(seen);
    // What one replica has written, all show.
    expect(await operator.look('fynd', operator.other)).toMatchObject(seen);
  });

  it('follows a provider that changes its ways', async () => {
    await world.install(operator.broker, '42');
    await operator.renewNow();
    await world.simulator.settings('fynd', { rotation: 'strict', token_ttl: 600 });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({
      rotation_observed: 'rotating',
      lifetime_observed: 600,
    });
  });

  it('is no lifetime where it told none, and none where its tokens live for ever', async () => {
    await world.simulator.settings('fynd', { expiry: 'missing' });
    await world.install(operator.broker, '42');
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ rotation_observed: 'none', lifetime_observed: null });
    await world.simulator.settings('fynd', { expiry: 'both', token_ttl: 900 });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ lifetime_observed: 900 });
    await world.simulator.settings('fynd', { expiry: 'missing' });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ lifetime_observed: 900 });
    await world.simulator.settings('fynd', { expiry: 'huge' });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ lifetime_observed: null });
  });

  it('is no rotation and no lifetime for Konnect, which has neither', async () => {
    await world.keepKonnect(operator.broker, '42');
    await operator.renewNow();
    expect(await operator.look('konnect')).toMatchObject({
      status: 'ok',
      renewal_dialect: 'konnect',
      rotation_observed: null,
      lifetime_observed: null,
      rotate_by: null,
    });
  });

  it('is how far its clock is off, by any answer, a failure too', async () => {
    await world.install(operator.broker, '42');
    expect(Math.abs(Number((await operator.look('fynd'))['clock_skew']))).toBeLessThanOrEqual(1);
    for (const [offset, fault] of [
      [7_200, {}],
      [-90, { status: 503 }],
    ] as const) {
      await refusing({ times: 1, clock_offset_s: offset, ...fault });
      await operator.renewNow();
      expect(Math.abs(Number((await operator.look('fynd'))['clock_skew']) - offset)).toBeLessThanOrEqual(1);
      const { text } = await ask('GET', `${operator.broker.api}/metrics`);
      const [, gauge] = /provider_clock_skew_seconds\{provider="fynd"\} (-?\d+)/.exec(text) ?? [];
      expect(Math.abs(Number(gauge) - offset)).toBeLessThanOrEqual(1);
    }
    expect((await operator.look('konnect'))['clock_skew']).toBeNull();
  });

  it('is degraded from a failure of the way there until it works again', async () => {
    await world.install(operator.broker, '42');
    await refusing({ times: 1, status: 503 });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ status: 'degraded', last_error: 'server_error' });
    expect(await operator.look('konnect')).toMatchObject({ status: 'ok', last_error: null });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ status: 'ok', last_error: null });
    await refusing({ times: 1, malformed: 'html' });
    await operator.renewNow();
    expect(await operator.look('fynd')).toMatchObject({ status: 'degraded', last_error: 'malformed_answer' });
  });

  it('is not degraded by the verdict on a grant: an answer is an answer', async () => {
    await world.install(operator.broker, '42');
    await refusing({ times: 1, status: 503 });
    await operator.renewNow();
    await refusing({ times: 1, status: 400, body: { error: 'invalid_grant' } });
    expect((await operator.renewNow()).body).toMatchObject({ status: 'reauthorization_required' });
    expect(await operator.look('fynd')).toMatchObject({ status: 'ok', last_error: null });
  });

  it('goes by when it was seen, and not by which replica wrote last', async () => {
    const states = operator.broker.broker.app.get(ProviderStateStore);
    const ago = (seconds: number): number => -1_000 * seconds;
    const see = (news: Partial<ProviderNews>): Promise<void> =>
      states.observe({ provider: 'fynd', ...news }, 0);
    await see({ error: { code: 'timed_out', at: ago(10) } });
    await see({ error: { code: 'server_error', at: ago(20) } });
    await see({ workedAt: ago(15) });
    expect(await operator.look('fynd')).toMatchObject({ status: 'degraded', last_error: 'timed_out' });
    await see({ workedAt: ago(5) });
    await see({ workedAt: ago(60) });
    await see({ error: { code: 'server_error', at: ago(30) } });
    expect(await operator.look('fynd')).toMatchObject({ status: 'ok', last_error: null });
  });

  it('is misconfigured, whatever else it is, until it accepts us', async () => {
    await world.install(operator.broker, '42');
    await refusing({ times: 1, status: 401, body: { error: 'invalid_client' } });
    await operator.renewNow();
    const refused = { status: 'misconfigured', last_error: 'client_refused' };
    expect(await operator.look('fynd')).toMatchObject(refused);
    expect((await operator.act('fynd', 'pause')).body).toMatchObject(refused);
    expect((await operator.act('fynd', 'probe')).body).toMatchObject({
      status: 'paused',
      last_error: null,
      probe: { outcome: 'renewed' },
    });
  });

  it('is never a secret', async () => {
    await world.install(operator.broker, '42');
    await world.keepKonnect(operator.broker, '42');
    await operator.renewNow();
    const { text } = await world.api(operator.broker, 'GET', '/v1/providers');
    expect(text).not.toMatch(/test-secret|simulated-secret/);
    const [state] = await world.sql<Json>(`select * from provider_states where provider = 'fynd'`);
    expect(text).not.toContain(state?.['credentials_fingerprint'] ?? 'no fingerprint');
  });

  it('is written down now and then, and not with every renewal', async () => {
    const companies = Array.from({ length: 60 }, (_, index) => String(index + 1));
    while (companies.length > 0)
      await Promise.all(companies.splice(0, 10).map((id) => world.install(operator.broker, id)));
    expect(await world.sql('select 1 from connections')).toHaveLength(60);
    await world.sql(`
      create table provider_writes (at timestamptz);
      create function count_provider_write() returns trigger language plpgsql
        as $$ begin insert into provider_writes values (clock_timestamp()); return null; end $$;
      create trigger count_provider_writes
        after insert or update of rotation_observed, lifetime_observed_s, last_error, last_success_at on provider_states
        for each row execute function count_provider_write();`);
    try {
      const begun = Date.now();
      await world.advance(3_601);
      await eventually(async () => {
        await operator.settle();
        const rows = await world.sql('select 1 from connections where token_version < 2');
        return rows.length === 0;
      });
      await operator.look('fynd');
      await operator.look('fynd', operator.other);
      const [written] = await world.sql<{ n: number }>('select count(*)::int as n from provider_writes');
      // Each of the two: one every 2 s, one for who looks, one that remembers the dialect for each in flight.
      const inFlight = 2 * 20;
      expect(written?.n).toBeGreaterThan(0);
      expect(written?.n).toBeLessThanOrEqual(2 * (Math.ceil((Date.now() - begun) / 2_000) + 1) + inFlight);
    } finally {
      await world.sql('drop table provider_writes; drop function count_provider_write cascade');
    }
  });

  it('is written down by a broker that stops', async () => {
    const short = await world.local();
    await world.keepKonnect(short, '42');
    await world.simulator.fault({ provider: 'konnect', times: 1, status: 503 });
    await world.api(short, 'POST', `/v1/connections/${String((await operator.row())['id'])}/renew`);
    await short.broker.stop();
    expect(await operator.look('konnect')).toMatchObject({ status: 'degraded', last_error: 'server_error' });
  });
});

describe('a client secret', () => {
  const rotateBy = async (at = operator.broker): Promise<number> => {
    const { rotate_by: told } = await operator.look('fynd', at);
    return Date.parse(String(told)) - NINETY_DAYS_MS;
  };

  it('is noted at the start, and not where there is none', async () => {
    await world.sql('truncate provider_states');
    const anew = await world.local();
    expect(Math.abs((await rotateBy(anew)) - world.clock.now().getTime())).toBeLessThan(5_000);
    expect(await operator.look('konnect', anew)).toMatchObject({ rotate_by: null });
    await anew.broker.stop();
  });

  it('is to be replaced 90 days after it was first used, and a replica with the old one moves nothing', async () => {
    await operator.changeSecret('test-secret-1');
    const now = (): number => world.clock.now().getTime();
    const first = await rotateBy();
    expect(Math.abs(first - now())).toBeLessThan(3_000);

    await world.advance(86_400);
    expect(await rotateBy()).toBe(first);
    await operator.changeSecret('test-secret-2');
    const second = await rotateBy();
    expect(Math.abs(second - now())).toBeLessThan(3_000);

    // The old one again: at a replica that has not got the new file yet, and at one that has started anew.
    await world.advance(86_400);
    await operator.changeSecret('test-secret-1');
    expect(await rotateBy()).toBe(second);
    await operator.changeSecret('test-secret-2');
    expect(await rotateBy()).toBe(second);
    const anew = await world.local({ FYND_API_SECRET: 'test-secret-1' });
    expect(await rotateBy(anew)).toBe(second);
    await anew.broker.stop();
    await operator.changeSecret(API_SECRET);
  });

  it('is remembered by a fingerprint alone, and by no more than ten', async () => {
    await operator.changeSecret('test-secret-first');
    await rotateBy();
    await world.sql(
      `update provider_states set credentials_seen = (select array_agg('former-' || n) from generate_series(1, 30) n)`,
    );
    await operator.changeSecret('test-secret-last');
    await rotateBy();
    const [state] = await world.sql<{ seen: string[]; newest: string }>(
      `select credentials_seen as seen, credentials_fingerprint as newest from provider_states where provider = 'fynd'`,
    );
    expect(state?.seen).toHaveLength(10);
    expect(state?.seen[0]).toBe(state?.newest);
    await operator.changeSecret(API_SECRET);
  });
});
