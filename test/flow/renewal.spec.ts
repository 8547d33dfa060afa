import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/http.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

/** A connection as the calendar sees it; times in seconds. */
interface Row {
  readonly id: string;
  readonly version: number;
  readonly lifetime: number | null;
  readonly left: number | null;
  readonly renewsAfter: number | null;
  readonly last_error: string | null;
}

describe('a token', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
    const ahead = Math.max(0, (world.clock.now().getTime() - Date.now()) / 1_000);
    await world.simulator.control('POST', 'clock', { advance_s: ahead });
  });

  async function row(companyId = '42'): Promise<Row> {
    const [found] = await world.sql<Row & Record<string, unknown>>(
      `select id, token_version as version, last_error,
              extract(epoch from expires_at - issued_at)::float8 as lifetime,
              extract(epoch from expires_at - broker_now())::float8 as "left",
              extract(epoch from renew_at - issued_at)::float8 as "renewsAfter"
         from connections where company_id = $1`,
      [companyId],
    );
    if (!found) throw new Error(`company ${companyId} has no connection`);
    return found;
  }

  async function renewNow(companyId = '42'): Promise<void> {
    const { id } = await row(companyId);
    const { status, body } = await world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    expect([status, body['last_error']]).toEqual([200, null]);
  }

  const fetchToken = (query = ''): ReturnType<typeof world.api> =>
    world.api(broker, 'GET', `/v1/tokens/fynd/companies/42${query}`);
  const renewals = async (): Promise<unknown> => (await world.simulator.ledger()).counters['renewals'];

  describe('by the calendar', () => {
    it.each([
      [3_600, 0.6 * 3_600, 0.8 * 3_600],
      [100, 55, 55],
      [60, 0.3 * 60, 0.45 * 60],
    ])('of %i s is to be renewed %d to %d s after its issue, drawn once', async (ttl, from, to) => {
      await world.simulator.settings('fynd', { token_ttl: ttl });
      const drawn = new Set<number>();
      for (const companyId of ['1', '2', '3', '4', '5', '6', '7', '8']) {
        await world.install(broker, companyId);
        const { renewsAfter } = await row(companyId);
        // The simulator rounds what is left to whole seconds.
        expect(renewsAfter).toBeGreaterThanOrEqual(from - 1.1);
        expect(renewsAfter).toBeLessThanOrEqual(to + 1);
        drawn.add(renewsAfter ?? 0);
        expect((await row(companyId)).renewsAfter).toBe(renewsAfter);
      }
      if (from !== to) expect(drawn.size).toBe(8);
    });

    it('is renewed before it expires, by itself', async () => {
      await world.install(broker, '42');
      await world.advance(0.59 * 3_600);
      await world.settle(broker);
      expect([(await row()).version, await renewals()]).toEqual([1, 0]);

      await world.advance(0.22 * 3_600);
      const renewed = await eventually(async () => {
        const found = await row();
        return found.version === 2 && found;
      });
      expect(renewed.left).toBeGreaterThan(3_500);
      expect(await renewals()).toBe(1);
      expect((await fetchToken()).body).toMatchObject({ version: 2, stale: false });
    });

    it('is renewed for as long as there is one, though nobody reads it', async () => {
      await world.install(broker, '42');
      for (let version = 2; version <= 6; version += 1) {
        await world.advance(0.81 * 3_600);
        await world.settle(broker);
        expect((await row()).version).toBe(version);
      }
      expect(await renewals()).toBe(5);
    });

    it('that expired while nobody was there is renewed as well', async () => {
      await world.install(broker, '42');
      await world.advance(30 * 86_400);
      await world.settle(broker);
      expect((await row()).version).toBe(2);
    });

    it('that is still good is never asked for, however often it is read', async () => {
      await world.install(broker, '42');
      await Promise.all(Array.from({ length: 50 }, () => fetchToken()));
      expect(await renewals()).toBe(0);
    });
  });

  describe('and its refresh token', () => {
    const refreshTokensSent = async (): Promise<unknown[]> =>
      (await world.simulator.ledger('?operation=renew')).entries.map(
        ({ fingerprints }) => (fingerprints as Record<string, unknown>)['refresh_token'],
      );

    it('that an answer leaves out stays the one it was', async () => {
      await world.simulator.settings('fynd', { omit_refresh_token: true });
      await world.install(broker, '42');
      for (let count = 0; count < 3; count += 1) await renewNow();
      expect((await row()).version).toBe(4);
      expect(new Set(await refreshTokensSent()).size).toBe(1);
    });

    it('that is rotated replaces the old one, which is never sent again', async () => {
      await world.simulator.settings('fynd', { rotation: 'strict' });
      await world.install(broker, '42');
      for (let count = 0; count < 20; count += 1) await renewNow();
      expect((await row()).version).toBe(21);
      expect(new Set(await refreshTokensSent()).size).toBe(20);
      expect((await world.simulator.ledger()).counters).toMatchObject({ renewals: 20, reused: 0 });
    });
  });

  describe('whose expiry is told as', () => {
    it.each([
      ['both', 3_600],
      ['expires_in', 3_600],
      ['expires_in_text', 3_600],
      ['expires_at_seconds', 3_600],
      ['expires_at_fraction', 3_600],
      ['expires_at_ms', 3_600],
      ['expires_at_text', 3_600],
      ['expires_at_iso', 3_600],
      ['missing', 3_600],
      ['zero', 3_600],
      ['negative', 3_600],
      ['unreadable', 3_600],
      ['huge', null],
    ])('%s lives %s s, and its new refresh token is kept', async (expiry, lifetime) => {
      await world.install(broker, '42');
      await world.simulator.settings('fynd', { expiry, rotation: 'strict' });
      await renewNow();

      const kept = await row();
      expect(kept).toMatchObject({ version: 2, last_error: null });
      if (lifetime === null) expect([kept.lifetime, kept.renewsAfter]).toEqual([null, null]);
      else {
        expect(Math.abs((kept.lifetime ?? NaN) - lifetime)).toBeLessThan(3);
        expect(kept.renewsAfter).toBeGreaterThan(0.59 * lifetime);
        expect(kept.renewsAfter).toBeLessThan(0.81 * lifetime);
      }
      const { body } = await fetchToken();
      expect(body['expires_in']).toEqual(lifetime === null ? null : expect.any(Number));
      await renewNow();
      expect((await row()).version).toBe(3);
    });

    it('missing is served with a warning in the log, since its lifetime is assumed', async () => {
      await world.install(broker, '42');
      await world.simulator.settings('fynd', { expiry: 'missing' });
      const before = world.logs.length;
      await renewNow();
      expect(world.logs.slice(before).join('')).toMatch(/warn.*(lifetime|expir)/i);
    });
  });

  describe('that many want at once', () => {
    it('is renewed once, and all get the same answer', async () => {
      await world.simulator.settings('fynd', { rotation: 'strict' });
      await world.install(broker, '42');
      await world.advance(3_601);
      const answers = await Promise.all(Array.from({ length: 100 }, () => fetchToken()));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(answers.map(({ body }) => body['access_token'])).size).toBe(1);
      expect(answers[0]?.body['version']).toBe(2);
      expect((await world.simulator.ledger()).counters).toMatchObject({ renewals: 1, reused: 0 });
    });

    it('comes also where the only one who waited for it has hung up', async () => {
      await world.simulator.settings('fynd', { rotation: 'strict' });
      await world.install(broker, '42');
      // Lives on for longer than the schedule needs, so that it is the caller who causes the renewal.
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', hold_until_released: true });
      const { expires_in: left } = (await fetchToken()).body;
      await world.advance(Number(left) - 2_000);
      const caller = new AbortController();
      const reading = fetch(`${broker.api}/v1/tokens/fynd/companies/42?min_ttl=3000`, {
        headers: { authorization: `Bearer ${ADMIN_KEY}` },
        signal: caller.signal,
      });
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
      caller.abort();
      await expect(reading).rejects.toThrow();
      await world.simulator.control('POST', 'release');
      await eventually(async () => (await row()).version === 2);
      expect(await renewals()).toBe(1);
    });
  });

  describe('that comes again as it was', () => {
    beforeEach(async () => {
      await world.install(broker, '42');
      await renewNow();
      const { access_token } = (await fetchToken()).body;
      await world.advance(3_000);
      const body = { access_token, token_type: 'bearer', expires_in: 600, refresh_token: 'test-secret-rt' };
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', status: 200, body });
      await world.settle(broker);
    });

    it('is a success without a new version, and is not asked for at every look', async () => {
      expect(await row()).toMatchObject({ version: 2, last_error: null });
      expect(await renewals()).toBe(2);
      for (let look = 0; look < 5; look += 1) await world.settle(broker);
      expect(await renewals()).toBe(2);
      expect((await fetchToken()).body).toMatchObject({ version: 2, stale: false });
    });

    it('is not asked for by every reader who wants more of it', async () => {
      for (let read = 0; read < 5; read += 1) {
        const { status, body } = await fetchToken('?min_ttl=1000');
        expect([status, body['code']]).toEqual([409, 'ttl_unsatisfiable']);
      }
      expect(Number(await renewals())).toBeLessThanOrEqual(3);
    });
  });
});
