import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { UninstallService } from '../../src/oauth/uninstall.service.js';
import { Browser } from '../support/browser.js';
import { eventually, type Json } from '../support/http.js';
import { Relay } from '../support/relay.js';
import { hint, proveAll, signedHint } from '../support/uninstalls.js';
import { API_KEY, useWorld, type LocalBroker } from '../support/world.js';

/** Anybody may say that a company has uninstalled. What that must never cause, however bad the moment. */
describe('a hint from anybody', () => {
  const world = useWorld();
  const relay = new Relay(() => world.simulator.url);
  let broker: LocalBroker;

  beforeAll(async () => {
    await relay.open();
    broker = await world.local({ FYND_BASE_URL: relay.url });
  });
  afterAll(() => relay.close());
  beforeEach(async () => {
    await world.sql('truncate connections, uninstall_hints, provider_states');
    relay.reset();
  });

  async function connect(companyId: string): Promise<void> {
    const url = `${broker.public}/fp/install?company_id=${companyId}&client_id=${API_KEY}`;
    const hosts = [broker.public, relay.url].map((address) => new URL(address).host);
    await new Browser().follow(url, hosts);
    relay.calls.length = 0;
  }

  const row = async (): Promise<Json> => (await world.sql<Json>('select * from connections'))[0] ?? {};
  const isApi = (call: string): boolean => call.startsWith('GET /service/platform/');

  it('ends nothing that is paused: somebody else may have renewed it, so that its token proves nothing', async () => {
    await connect('42');
    await world.api(broker, 'POST', `/v1/connections/${String((await row())['id'])}/pause`);
    relay.stance = (call) => (isApi(call) ? 401 : undefined);
    for (const send of [hint, signedHint]) {
      await send(broker, { company_id: '42' });
      await proveAll(world, broker);
    }
    expect([(await row())['status'], relay.calls]).toEqual(['paused', []]);
  });

  it('spends no refresh token while the one in hand lives, and its API cannot tell', async () => {
    await connect('42');
    relay.stance = (call) => (isApi(call) ? 500 : undefined);
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(relay.calls.filter((call) => !isApi(call))).toEqual([]);
    expect(await row()).toMatchObject({ status: 'active', token_version: 1 });
    expect(await world.sql('select tries from uninstall_hints')).toEqual([{ tries: 1 }]);
  });

  it.each([
    ['a refresh token that may be spent', `unknown_outcome = 'no_answer'`],
    ['what was renewed in vain a moment ago', `consecutive_failures = 0, last_error = null`],
    ['a grant that is suspect', `status = 'suspect', status_reason = 'refused_without_code', refusals = 1`],
  ])('does not shorten the wait that saves %s', async (_, state) => {
    await connect('42');
    await world.sql(
      `update connections set attempts = 1, ${/failures/.test(state) ? '' : "consecutive_failures = 1, last_error = 'timed_out',"} ${state},
         expires_at = broker_now() + interval '30 seconds', renew_at = broker_now() + interval '20 minutes'`,
    );
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(relay.calls).toEqual([]);
    expect(await world.sql('select tries from uninstall_hints')).toEqual([{ tries: 1 }]);
  });

  it('ends nothing for a token that a renewal has brought again meanwhile', async () => {
    await connect('42');
    const token = (): ReturnType<typeof world.api> =>
      world.api(broker, 'GET', '/v1/tokens/fynd/companies/42');
    const same = (await token()).body['access_token'];
    let refuse: (status: number) => void = () => undefined;
    const refused = new Promise<number>((resolve) => (refuse = resolve));
    relay.stance = (call) => (isApi(call) ? refused : undefined);
    await hint(broker, { company_id: '42' });
    await eventually(() => relay.calls.some(isApi));
    const body = { access_token: same, token_type: 'Bearer', expires_in: 3_600 };
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, status: 200, body });
    await world.api(broker, 'POST', `/v1/connections/${String((await row())['id'])}/renew`);
    refuse(401);
    await proveAll(world, broker);
    expect((await token()).body).toMatchObject({ version: 1, access_token: same });
  });

  it('makes no call for a provider that an operator has paused, and is proven when that is over', async () => {
    await connect('42');
    await world.simulator.uninstall('42');
    await world.api(broker, 'POST', '/v1/providers/fynd/pause');
    await hint(broker, { company_id: '42' });
    await broker.broker.app.get(UninstallService).look();
    expect(relay.calls).toEqual([]);
    await world.api(broker, 'POST', '/v1/providers/fynd/resume');
    await proveAll(world, broker);
    expect(await row()).toMatchObject({ status: 'revoked', status_reason: 'uninstalled' });
  });

  it('makes no call for a provider that is asked too often, and a 429 to one stops all calls', async () => {
    await connect('42');
    await connect('43');
    relay.stance = (call) => (isApi(call) ? 429 : undefined);
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(
      await world.sql('select closed_because from provider_states where closed_until > broker_now()'),
    ).toEqual([{ closed_because: 'rate_limited' }]);
    await world.sql(`update provider_states set closed_until = broker_now() + interval '1 minute'`);
    relay.reset();
    await hint(broker, { company_id: '43' });
    await proveAll(world, broker);
    expect(relay.calls).toEqual([]);
    expect(await world.sql('select company_id, tries from uninstall_hints order by 1')).toEqual([
      { company_id: '42', tries: 1 },
      { company_id: '43', tries: 1 },
    ]);
  });

  it('is one of no more calls at once than anything else that anybody may bring', async () => {
    let [out, most] = [0, 0];
    for (let company = 1; company <= 5; company += 1) await connect(String(company));
    relay.stance = (call) => {
      if (!isApi(call)) return undefined;
      most = Math.max(most, (out += 1));
      return new Promise<void>((resolve) => setTimeout(resolve, 1_000)).finally(() => (out -= 1));
    };
    await world.sql(
      `insert into uninstall_hints (provider, company_id, proof_at) select provider, company_id, broker_now() from connections`,
    );
    await proveAll(world, broker);
    // A fifth of `concurrency`.
    expect([most, relay.calls.filter(isApi).length]).toEqual([4, 5]);
  });

  it('is proven by a renewal where the API answers about something else', async () => {
    await connect('42');
    relay.stance = (call) => (isApi(call) ? 404 : undefined);
    await world.simulator.uninstall('42');
    await hint(broker, { company_id: '42' });
    await proveAll(world, broker);
    expect(await row()).toMatchObject({ status: 'revoked', status_reason: 'uninstalled' });
  });

  it('stands behind one that is signed, however many came before it', async () => {
    for (let company = 1; company <= 12; company += 1) await connect(String(company));
    await world.sql(
      `insert into uninstall_hints (provider, company_id, proof_at)
       select provider, company_id, broker_now() - interval '1 minute' from connections where company_id <> '12'`,
    );
    relay.calls.length = 0;
    await signedHint(broker, { company_id: '12' });
    await proveAll(world, broker);
    const place = relay.calls.filter(isApi).findIndex((call) => call.includes('/company/12/'));
    expect(place).toBeLessThan(10);
    expect(relay.calls.filter(isApi)).toHaveLength(12);
  });
});
