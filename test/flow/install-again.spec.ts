import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fingerprint } from '../../simulator/secrets.js';
import { Browser } from '../support/browser.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { API_KEY, UI_URL, useWorld, type LocalBroker } from '../support/world.js';

interface Row {
  readonly id: string;
  readonly status: string;
  readonly grantVersion: number;
  readonly leaseEpoch: number;
  readonly tokenVersion: number;
  readonly sealedToken: Buffer;
  readonly sealedGrant: Buffer;
}

const ROWS = `select id, status, grant_version as "grantVersion", lease_epoch::int as "leaseEpoch",
  token_version as "tokenVersion", sealed_token as "sealedToken", sealed_grant as "sealedGrant"
  from connections where company_id = $1`;

describe('an extension that is installed already', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });
  beforeEach(async () => {
    await world.sql('delete from connections');
    await world.sql('delete from provider_states');
  });

  async function rowOf(companyId: string): Promise<Row> {
    const [row] = await world.sql<Row & Json>(ROWS, [companyId]);
    if (!row) throw new Error(`company ${companyId} has no connection`);
    return row;
  }

  /** The code of a consent, and the address that it brings the browser back to. */
  async function consent(
    browser: Browser,
    companyId: string,
    more = '',
  ): Promise<{ code: string; back: string }> {
    const url = `${broker.public}/fp/install?company_id=${companyId}&client_id=${API_KEY}${more}`;
    const begun = await browser.visit(url);
    const agreed = await browser.visit(begun.headers.get('location') ?? '');
    const back = agreed.headers.get('location') ?? '';
    return { code: new URL(back).searchParams.get('code') ?? '', back };
  }

  /** Another visit, whose code is redeemed. */
  async function revisit(companyId: string): Promise<string> {
    const browser = new Browser();
    const { code, back } = await consent(browser, companyId);
    expect((await browser.visit(back)).headers.get('location')).toBe(`${UI_URL}/company/${companyId}`);
    return code;
  }

  const token = (companyId: string): Promise<Answer> =>
    world.api(broker, 'GET', `/v1/tokens/fynd/companies/${companyId}`);
  const renew = (id: string): Promise<Answer> => world.api(broker, 'POST', `/v1/connections/${id}/renew`);

  /** The fingerprints of what the latest renewal sent. */
  async function sentByRenewal(): Promise<unknown> {
    const { entries } = await world.simulator.ledger('?operation=renew');
    return entries.at(-1)?.['fingerprints'];
  }

  describe('and is visited again', () => {
    it('keeps its version where consent brings the same token', async () => {
      await revisit('42');
      const [before, held] = [await rowOf('42'), await token('42')];
      await revisit('42');
      const [after, now] = [await rowOf('42'), await token('42')];
      expect(now.body['access_token']).toBe(held.body['access_token']);
      expect(after).toMatchObject({ id: before.id, tokenVersion: 1, status: 'active' });
    });

    it('raises both fences, and seals anew what it keeps', async () => {
      await revisit('42');
      const before = await rowOf('42');
      await revisit('42');
      const after = await rowOf('42');
      expect(after.grantVersion).toBe(before.grantVersion + 1);
      expect(after.leaseEpoch).toBe(before.leaseEpoch + 1);
      expect(after.sealedGrant.equals(before.sealedGrant)).toBe(false);
      expect(after.sealedToken.equals(before.sealedToken)).toBe(false);
    });

    it('renews from the code and the refresh token that came last, although the token is the same', async () => {
      await revisit('42');
      const same = String((await token('42')).body['access_token']);
      const body = { access_token: same, expires_in: 3_600, refresh_token: 'test-secret-second-refresh' };
      await world.simulator.fault({
        provider: 'fynd',
        operation: 'exchange',
        times: 1,
        perform_first: true,
        status: 200,
        body,
      });
      const code = await revisit('42');
      const { id, tokenVersion } = await rowOf('42');
      expect(tokenVersion).toBe(1);
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, status: 503 });
      await renew(id);
      expect(await sentByRenewal()).toEqual({
        code: fingerprint(code),
        refresh_token: fingerprint('test-secret-second-refresh'),
      });
    });

    it('renews from the former refresh token where the answer brings none', async () => {
      await revisit('42');
      const { id } = await rowOf('42');
      await renew(id);
      const { refresh_token: former } = (await sentByRenewal()) as Json;
      const body = { access_token: 'test-secret-second-token', expires_in: 3_600 };
      const fault = { provider: 'fynd', operation: 'exchange', times: 1, perform_first: true };
      await world.simulator.fault({ ...fault, status: 200, body });
      const code = await revisit('42');
      expect((await token('42')).body).toMatchObject({ access_token: body.access_token, version: 3 });

      const renewed = await renew(id);
      expect(renewed.body).toMatchObject({ status: 'active', token_version: 4, last_error: null });
      expect(await sentByRenewal()).toEqual({ code: fingerprint(code), refresh_token: former });
    });

    it('counts on where consent brings another token, and shows the scopes that came with it', async () => {
      await world.simulator.settings('fynd', { granted_scopes: ['company/products'] });
      await revisit('42');
      expect((await token('42')).body).toMatchObject({ version: 1, scopes: ['company/products'] });
      await world.simulator.settings('fynd', { granted_scopes: null });
      await revisit('42');
      const { body } = await token('42');
      expect(body).toMatchObject({ version: 2, scopes: ['company/products', 'company/orders'] });
    });

    it('is revived where its grant had died', async () => {
      await revisit('42');
      const { id } = await rowOf('42');
      const death = { provider: 'fynd', operation: 'renew', status: 400, body: { error: 'invalid_grant' } };
      await world.simulator.fault({ ...death, times: 1 });
      await renew(id);
      expect((await rowOf('42')).status).toBe('reauthorization_required');
      await revisit('42');
      expect(await rowOf('42')).toMatchObject({ id, status: 'active', tokenVersion: 1 });
      expect((await token('42')).body['stale']).toBe(false);
    });
  });

  describe('and is visited while a renewal is out', () => {
    /** Begins a renewal that the provider holds back; what it comes to, once it is released. */
    async function held(fault: Json): Promise<() => Promise<Answer>> {
      const { id } = await rowOf('42');
      const renewal = { provider: 'fynd', operation: 'renew', times: 1, hold_until_released: true };
      await world.simulator.fault({ ...renewal, ...fault });
      const answer = renew(id);
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
      return async () => {
        expect((await world.simulator.control('POST', 'release')).body).toEqual({ released: 1 });
        return answer;
      };
    }

    it.each([
      ['that comes late', {}],
      ['that had rotated the refresh token before', { perform_first: true }],
    ])('is not overwritten by an answer %s', async (_, fault) => {
      await world.simulator.settings('fynd', { rotation: 'strict' });
      await revisit('42');
      const release = await held(fault);
      await revisit('42');
      const [before, current] = [await rowOf('42'), await token('42')];
      await release();
      expect(await rowOf('42')).toEqual(before);
      expect((await token('42')).body).toMatchObject({
        access_token: current.body['access_token'],
        version: current.body['version'],
        stale: false,
      });
    });

    it('is not killed by a late refusal of what it was before', async () => {
      await revisit('42');
      const release = await held({ status: 400, body: { error: 'invalid_grant' } });
      await revisit('42');
      const before = await rowOf('42');
      await release();
      expect(await rowOf('42')).toEqual(before);
      expect((await token('42')).body).toMatchObject({ version: 1, stale: false });
    });

    it('can be renewed at once, under a fence of its own', async () => {
      await revisit('42');
      const { id } = await rowOf('42');
      const release = await held({});
      await revisit('42');
      expect((await renew(id)).body).toMatchObject({ status: 'active', token_version: 2 });
      const before = await rowOf('42');
      await release();
      expect(await rowOf('42')).toEqual(before);
    });
  });

  it('comes back under its id, and its versions go on, after it was revoked and uninstalled', async () => {
    await revisit('42');
    const { id } = await rowOf('42');
    expect((await world.api(broker, 'DELETE', `/v1/connections/${id}`)).status).toBe(200);
    expect((await token('42')).status).toBe(410);
    await world.simulator.control('POST', 'fynd/uninstall', { company_id: '42' });
    await revisit('42');
    expect((await token('42')).body).toMatchObject({ connection_id: id, version: 2, stale: false });
  });

  it('cannot be brought back by a renewal that was out when it was revoked', async () => {
    await revisit('42');
    const { id } = await rowOf('42');
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      times: 1,
      hold_until_released: true,
    });
    const answer = renew(id);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    await world.api(broker, 'DELETE', `/v1/connections/${id}`);
    await world.simulator.control('POST', 'release');
    await answer;
    expect(await rowOf('42')).toMatchObject({ status: 'revoked', sealedToken: null, sealedGrant: null });
  });

  it('is one connection, however many tabs of one browser install it at once', async () => {
    const browser = new Browser();
    const tabs = [await consent(browser, '42'), await consent(browser, '42'), await consent(browser, '43')];
    expect(browser.cookies).toHaveLength(3);
    const landed = await Promise.all(tabs.reverse().map(({ back }) => browser.visit(back)));
    expect(landed.map(({ headers }) => headers.get('location'))).toEqual(
      ['43', '42', '42'].map((company) => `${UI_URL}/company/${company}`),
    );
    expect(browser.cookies).toEqual([]);
    expect(await rowOf('42')).toMatchObject({ tokenVersion: 1, grantVersion: 3, status: 'active' });
    expect(await world.sql('select 1 from connections')).toHaveLength(2);
  });
});
