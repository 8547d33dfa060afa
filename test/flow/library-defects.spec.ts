import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fdk } from '../support/fdk-client.js';
import type { Answer } from '../support/http.js';
import { findLeaks } from '../support/leaks.js';
import { Relay } from '../support/relay.js';
import { Seller } from '../support/seller.js';
import { hint, proveAll } from '../support/uninstalls.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

/** What Fynd's own library is known to do wrong, as far as no other test here would fail on it. */
const world = useWorld();
const relay = new Relay(() => world.simulator.url);
let broker: LocalBroker;

beforeAll(async () => {
  await relay.open();
  broker = await world.local({ FYND_RENEWAL: 'library', FYND_BASE_URL: relay.url, FYND_ACCESS_MODE: 'both' });
});
afterAll(() => relay.close());
beforeEach(async () => {
  await world.sql('truncate connections, online_sessions, uninstall_hints, provider_states');
  relay.reset();
});

const at = (): { public: string; via: string[] } => ({ public: broker.public, via: [relay.url] });
const token = (companyId = '42', query = ''): Promise<Answer> =>
  world.api(broker, 'GET', `/v1/tokens/fynd/companies/${companyId}${query}`);
const renewals = async (): Promise<unknown> => (await world.simulator.ledger()).counters['renewals'];

/** What failed before is no reason to wait with the next call. */
const forgetPace = (): Promise<unknown> => world.sql('truncate provider_states');

describe('unlike the library', () => {
  it('a renewal that brings no refresh token leaves the one that is there, in its dialect, too', async () => {
    await world.simulator.settings('fynd', { omit_refresh_token: true });
    const { oauthClient } = fdk(world.simulator.url, '41', [API_KEY, API_SECRET]);
    const code = await world.simulator.consent('41', { client_id: API_KEY });
    await oauthClient.getOfflineAccessToken(['company/products'], code);
    await oauthClient.renewAccessToken(true);
    expect(oauthClient.refreshToken).toBeNull();

    await (await Seller.of(world, 'ann')).open(at(), '42');
    const { connection_id: id } = (await token()).body;
    for (let version = 2; version <= 4; version += 1) {
      const { body } = await world.api(broker, 'POST', `/v1/connections/${String(id)}/renew`);
      expect(body).toMatchObject({ status: 'active', token_version: version, last_error: null });
    }
  });

  it('the second renewal, and the third, is one for all who want it, as the first was', async () => {
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', delay_ms: 50 });
    await (await Seller.of(world, 'ann')).open(at(), '42');
    for (let version = 2; version <= 4; version += 1) {
      await world.advance(3_601);
      const answers = await Promise.all(Array.from({ length: 50 }, () => token()));
      expect(new Set(answers.map(({ status, body }) => `${status} ${String(body['version'])}`))).toEqual(
        new Set([`200 ${version}`]),
      );
      expect(new Set(answers.map(({ body }) => body['access_token'])).size).toBe(1);
      expect(await renewals()).toBe(version - 1);
    }
    expect((await world.simulator.ledger()).counters['reused']).toBe(0);
  });

  it('a company that nobody has heard of is told to be unknown, whatever is asked about it', async () => {
    const report = { version: 1, status: 401 };
    const tokens = '/v1/tokens/fynd/companies/404';
    const asked: [Promise<Answer>, number, string | undefined][] = [
      [token('404'), 404, 'connection_not_found'],
      [token('404', '?min_ttl=3600&scope=company/products'), 404, 'connection_not_found'],
      [world.api(broker, 'POST', `${tokens}/report`, report), 404, 'connection_not_found'],
      [
        world.api(broker, 'GET', `${tokens}/locations/7?level=location_then_company`),
        404,
        'connection_not_found',
      ],
      [world.api(broker, 'GET', '/v1/tokens/fynd/sessions/none?company_id=404'), 404, 'session_not_found'],
      [world.api(broker, 'GET', '/v1/connections?company_id=404'), 200, undefined],
      [hint(broker, { company_id: '404' }), 202, undefined],
    ];
    for (const [answer, status, code] of asked) {
      expect([(await answer).status, (await answer).body['code']]).toEqual([status, code]);
    }
    expect(relay.calls).toEqual([]);
  });

  it('no failing call leaves its Authorization in the log: consent, renewal and proof', async () => {
    const seller = await Seller.of(world, 'ann');
    await seller.open(at(), '42');
    const { connection_id: id } = (await token()).body;
    const before = world.logs.length;
    for (const stance of ['cut', 400, 403, 404, 429, 500, 401] as const) {
      for (const half of [/offline-token/, /oauth\/token/]) {
        relay.stance = (call) => (half.test(call) ? stance : undefined);
        expect((await seller.open(at(), '43')).status).toBeGreaterThanOrEqual(400);
        await forgetPace();
      }
      relay.stance = () => stance;
      await world.api(broker, 'POST', `/v1/connections/${String(id)}/renew`);
      await forgetPace();
      await hint(broker, { company_id: '42' });
      await proveAll(world, broker);
      await world.advance(601);
    }
    relay.reset();
    await seller.open(at(), '44');
    relay.stance = () => 401;
    await hint(broker, { company_id: '44' });
    await proveAll(world, broker);
    const log = world.logs.slice(before).join('');
    for (const part of ['Renewal', 'Consent', 'Uninstall']) expect(log).toContain(part);
    expect(findLeaks(log.split('\n'))).toEqual([]);
    expect(log).not.toMatch(/Basic |Bearer |authorization/i);
  });
});
