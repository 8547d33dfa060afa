import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Answer, type Json } from '../support/http.js';
import { Relay } from '../support/relay.js';
import { Seller } from '../support/seller.js';
import { hint, proveAll, signedHint } from '../support/uninstalls.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
const relay = new Relay(() => world.simulator.url);
let broker: LocalBroker;
let companies = 6_500;

beforeAll(async () => {
  await relay.open();
  broker = await world.local({ FYND_BASE_URL: relay.url, FYND_ACCESS_MODE: 'both' });
});
afterAll(() => relay.close());
beforeEach(async () => {
  await world.sql('truncate connections, online_sessions, uninstall_hints, provider_states');
  relay.reset();
});

const nextCompany = (): string => String(++companies);
const codeOf = ({ status, body }: Answer): unknown[] => [status, body['code']];
const token = (companyId: string, at = broker): Promise<Answer> =>
  world.api(at, 'GET', `/v1/tokens/fynd/companies/${companyId}`);
const ofSession = (id: string, companyId: string, at = broker): Promise<Answer> =>
  world.api(at, 'GET', `/v1/tokens/fynd/sessions/${id}?company_id=${companyId}`);

/** Somebody of the company opens the extension; the session's id. */
async function signIn(user: string, companyId: string, at = broker): Promise<string> {
  const seller = await Seller.of(world, user);
  const { landing } = await seller.open(
    { public: at.public, via: [relay.url, world.simulator.url] },
    companyId,
  );
  const ticket = landing?.searchParams.get('ticket');
  return String((await world.api(at, 'POST', '/v1/sessions', { ticket })).body['session_id']);
}

async function rowOf(companyId: string): Promise<Json> {
  const [row] = await world.sql<Json>('select * from connections where company_id = $1', [companyId]);
  return row ?? {};
}

/** Its token has expired, and the calendar will not be what finds out. */
const outlive = (companyId: string): Promise<unknown> =>
  world.sql(
    `update connections set expires_at = broker_now(), renew_at = broker_now() + interval '1 day'
     where company_id = $1`,
    [companyId],
  );

const idOf = async (companyId: string): Promise<string> => String((await rowOf(companyId))['id']);
const renew = async (companyId: string): Promise<Answer> =>
  world.api(broker, 'POST', `/v1/connections/${await idOf(companyId)}/renew`);

const isResource = (call: string): boolean => call.startsWith('GET /service/platform/');

describe('a company that has uninstalled the extension', () => {
  it('is disconnected: its secrets are erased, its sessions ended, and readers are told so', async () => {
    const companyId = nextCompany();
    const [ann, bob] = [await signIn('ann', companyId), await signIn('bob', companyId)];
    const elsewhere = await signIn('ann', nextCompany());
    await world.simulator.uninstall(companyId);
    expect((await hint(broker, { company_id: companyId })).status).toBe(202);
    await proveAll(world, broker);

    expect(await rowOf(companyId)).toMatchObject({
      status: 'revoked',
      status_reason: 'uninstalled',
      sealed_grant: null,
      sealed_token: null,
      upstream_revocation: 'revoked',
    });
    expect(codeOf(await token(companyId))).toEqual([410, 'connection_revoked']);
    const shown = await world.api(broker, 'GET', `/v1/connections/${await idOf(companyId)}`);
    expect(shown.body).toMatchObject({ status: 'revoked', status_reason: 'uninstalled' });
    for (const id of [ann, bob])
      expect(codeOf(await ofSession(id, companyId))).toEqual([404, 'session_not_found']);
    expect((await ofSession(elsewhere, String(companies))).status).toBe(200);
    expect((await token(String(companies))).status).toBe(200);
  });

  it('comes back under its id when it installs the extension again, and its versions count on', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    const before = await rowOf(companyId);
    await world.simulator.uninstall(companyId);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    const session = await signIn('ann', companyId);
    expect((await token(companyId)).body).toMatchObject({ version: 2, connection_id: before['id'] });
    expect((await ofSession(session, companyId)).status).toBe(200);
    expect(await rowOf(companyId)).toMatchObject({ status: 'active', status_reason: null });
  });

  it('is not disconnected by what was found out about the installation before this one', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await world.simulator.uninstall(companyId);
    let tell: () => void = () => undefined;
    const told = new Promise<void>((resolve) => (tell = resolve));
    relay.stance = (call) => (isResource(call) ? told : undefined);
    await hint(broker, { company_id: companyId });
    await eventually(() => relay.calls.some(isResource));
    await signIn('ann', companyId);
    tell();
    await proveAll(world, broker);
    expect((await token(companyId)).body).toMatchObject({ version: 2 });
    relay.reset();
    await world.advance(601);
    await proveAll(world, broker);
    expect([relay.calls.filter(isResource).length, (await token(companyId)).status]).toEqual([1, 200]);
  });

  it.each(['being replaced', 'replaced by the time that it is refused'])(
    'is not disconnected for a token that is %s',
    async (which) => {
      const companyId = nextCompany();
      await signIn('ann', companyId);
      const renewal = { provider: 'fynd', operation: 'renew', times: 1, hold_until_released: true };
      await world.simulator.fault(renewal);
      const renewed = renew(companyId);
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
      // The provider has no use for the former token once it has given another.
      let refuse: (status: number) => void = () => undefined;
      const refused = new Promise<number>((resolve) => (refuse = resolve));
      relay.stance = (call) => (isResource(call) ? refused : undefined);
      await hint(broker, { company_id: companyId });
      await eventually(() => relay.calls.some(isResource));
      if (which === 'being replaced') {
        refuse(401);
        await proveAll(world, broker);
      }
      await world.simulator.control('POST', 'release');
      expect((await renewed).body).toMatchObject({ status: 'active', token_version: 2 });
      refuse(401);
      await proveAll(world, broker);
      expect((await token(companyId)).body).toMatchObject({ version: 2, stale: false });
    },
  );
});

describe('the proof', () => {
  it.each([200, 204, 403])('takes a %i for a company that is still there', async (status) => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    relay.stance = (call) => (isResource(call) ? status : undefined);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({ status: 'active', token_version: 1 });
    expect(await world.sql('select 1 from uninstall_hints where proof_at is not null')).toEqual([]);
  });

  it('is a renewal where the token in hand has expired: a dead grant is disconnected', async () => {
    const companyId = nextCompany();
    const session = await signIn('ann', companyId);
    await world.simulator.uninstall(companyId);
    await outlive(companyId);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(relay.calls.some(isResource)).toBe(false);
    expect(await rowOf(companyId)).toMatchObject({
      status: 'revoked',
      status_reason: 'uninstalled',
      sealed_grant: null,
    });
    expect(codeOf(await ofSession(session, companyId))).toEqual([404, 'session_not_found']);
  });

  it('is a renewal that succeeds where the company is still there', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await outlive(companyId);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({ status: 'active', token_version: 2 });
  });

  it('is none where the renewal is refused without a word why: suspect, and asked again', async () => {
    await world.simulator.settings('fynd', { error_style: 'fynd' });
    const companyId = nextCompany();
    const session = await signIn('ann', companyId);
    // A provider that has been seen to renew: only of such a one may a bare refusal be about the grant.
    expect((await renew(companyId)).status).toBe(200);
    await world.simulator.uninstall(companyId);
    await outlive(companyId);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({
      status: 'suspect',
      refusals: 1,
      sealed_grant: expect.anything(),
    });
    expect((await ofSession(session, companyId)).status).toBe(200);
    expect(await world.sql('select tries from uninstall_hints where proof_at > broker_now()')).toEqual([
      { tries: 1 },
    ]);
  });

  it('is none where the grant died for another reason than the provider saying so', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await outlive(companyId);
    await world.sql(`update connections set status = 'reauthorization_required', renew_at = null,
      status_reason = 'refused_without_code'`);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({
      status: 'reauthorization_required',
      sealed_grant: expect.anything(),
    });
  });

  it('waits for a provider that is away, and is made when that is back', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await world.simulator.uninstall(companyId);
    relay.stance = () => 'cut';
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({ status: 'active' });
    await world.advance(601);
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({ status: 'active' });
    relay.stance = () => undefined;
    await world.advance(601);
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({ status: 'revoked', status_reason: 'uninstalled' });
  });

  it('asks a paused connection for nothing but whether its token lives', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await world.api(broker, 'POST', `/v1/connections/${await idOf(companyId)}/pause`);
    await outlive(companyId);
    relay.calls.length = 0;
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect([relay.calls, (await rowOf(companyId))['status']]).toEqual([[], 'paused']);
    expect(await world.sql('select tries from uninstall_hints')).toEqual([{ tries: 1 }]);
  });

  it('of a row that does not open is put off like any other', async () => {
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await world.sql(`update connections set sealed_token = '\\x00' where company_id = $1`, [companyId]);
    await hint(broker, { company_id: companyId });
    await proveAll(world, broker);
    expect(await world.sql('select tries from uninstall_hints where proof_at > broker_now()')).toEqual([
      { tries: 1 },
    ]);
    expect(await rowOf(companyId)).toMatchObject({ status: 'active' });
  });

  it('is made by another replica where the one that took the hint is killed in the middle of it', async () => {
    const changes = { FYND_BASE_URL: relay.url, PUBLIC_URL: broker.public };
    const companyId = nextCompany();
    await signIn('ann', companyId);
    await world.simulator.uninstall(companyId);
    await broker.broker.stop();
    const replica = await world.replica(changes);
    relay.stance = (call) => (isResource(call) ? new Promise(() => undefined) : undefined);
    await hint(replica, { company_id: companyId });
    await eventually(() => relay.calls.some(isResource));
    replica.signal('SIGKILL');
    await replica.ended();

    relay.reset();
    broker = await world.local({ FYND_BASE_URL: relay.url, FYND_ACCESS_MODE: 'both' });
    await world.advance(121);
    await proveAll(world, broker);
    expect(await rowOf(companyId)).toMatchObject({ status: 'revoked', status_reason: 'uninstalled' });
  });
});

describe('an extension that is online only', () => {
  it('has its sessions proven one by one', async () => {
    const online = await world.local({ FYND_BASE_URL: relay.url, FYND_ACCESS_MODE: 'online' });
    const companyId = nextCompany();
    const [ann, bob] = [await signIn('ann', companyId, online), await signIn('bob', companyId, online)];
    const anns = String((await ofSession(ann, companyId, online)).body['access_token']);
    relay.stance = (call, authorization) =>
      isResource(call) && authorization === `Bearer ${anns}` ? 401 : undefined;
    await hint(online, { company_id: companyId });
    await proveAll(world, online);
    expect((await ofSession(ann, companyId, online)).status).toBe(404);
    expect((await ofSession(bob, companyId, online)).status).toBe(200);

    await world.simulator.uninstall(companyId);
    await signedHint(online, { company_id: companyId });
    await proveAll(world, online);
    expect((await ofSession(bob, companyId, online)).status).toBe(404);
    expect(await world.sql('select id from online_sessions')).toEqual([]);
  });
});
