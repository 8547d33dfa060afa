import { beforeAll, describe, expect, it } from '@jest/globals';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { EveryKind, RENEWED, type Connected } from '../support/every-kind.js';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
const every = new EveryKind(world, () => broker, 31_000);

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

const PAUSED = { status: 'paused', status_reason: 'paused_by_operator', renew_at: null };
const held = async (): Promise<boolean> => (await world.simulator.ledger('?limit=0')).counters['held'] === 1;

/** For so long whoever has just started leaves the leases of others alone. */
const TERM_S = 20;

/** A renewal that is out while an operator does something; `fault` is what comes of it. */
async function whileRenewing(
  connection: Connected,
  fault: Json,
  work: () => Promise<unknown>,
): Promise<void> {
  await connection.fault({ ...fault, times: 1, hold_until_released: true });
  const renewing = connection.do('renew');
  await eventually(held);
  await work();
  await world.simulator.control('POST', 'release');
  await renewing;
}

describe.each(RENEWED)('a pause while a renewal of %s is out', (kind) => {
  it('stays, and the token that comes is kept: it may have cost a refresh token', async () => {
    const connection = await every.connected(kind);
    await whileRenewing(connection, {}, () => connection.do('pause'));
    expect(await connection.shown()).toMatchObject({ ...PAUSED, token_version: 2, last_error: null });
    const { body } = await connection.token();
    expect([body['version'], body['stale']]).toEqual([2, false]);
    expect((await world.simulator.introspect(body['access_token']))['active']).toBe(true);
    await world.advance(0.85 * 3_600);
    await every.look();
    expect(await connection.renewals()).toBe(1);
  });

  it('stays, where the provider was away', async () => {
    const connection = await every.connected(kind);
    await whileRenewing(connection, { status: 503 }, () => connection.do('pause'));
    expect(await connection.shown()).toMatchObject({
      ...PAUSED,
      token_version: 1,
      last_error: 'server_error',
    });
    await world.advance(600);
    await every.look();
    expect(await connection.renewals()).toBe(1);
  });

  it('and a resume at once is as if nothing had been', async () => {
    const connection = await every.connected(kind);
    await whileRenewing(connection, {}, async () => {
      await connection.do('pause');
      await connection.do('resume');
    });
    expect(await connection.shown()).toMatchObject({ status: 'active', token_version: 2 });
    await every.look();
    expect(await connection.renewals()).toBe(1);
  });
});

describe.each(['fynd', 'connect'] as const)('a refusal that a renewal of %s brings after a pause', (kind) => {
  it('is told: the grant is dead, and resuming cannot help', async () => {
    const connection = await every.connected(kind);
    const refusal = { status: 400, body: { error: 'invalid_grant' } };
    await whileRenewing(connection, refusal, () => connection.do('pause'));
    expect(await connection.shown()).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'invalid_grant',
      renew_at: null,
    });
    expect((await connection.token()).body).toMatchObject({ version: 1, stale: true });
    expect((await connection.do('resume')).body['code']).toBe('reauthorization_required');
    await world.advance(3_601);
    expect((await connection.token()).body['code']).toBe('reauthorization_required');
  });
});

describe('a refusal that Konnect brings after a pause', () => {
  const FAILURE = { status: 200, body: { access_token: null, status: 'FAILURE' } };

  it('is a suspicion that waits for the end of the pause', async () => {
    const connection = await every.connected('konnect');
    await whileRenewing(connection, FAILURE, () => connection.do('pause'));
    expect(await connection.shown()).toMatchObject({ ...PAUSED, last_error: 'credential_refused' });
    expect((await connection.do('resume')).body).toMatchObject({
      status: 'suspect',
      status_reason: 'credential_refused',
      token_version: 1,
    });
    await every.look();
    expect(await connection.shown()).toMatchObject({
      status: 'active',
      status_reason: null,
      token_version: 2,
    });
  });

  it('is counted over pauses: the third refusal is the last', async () => {
    const connection = await every.connected('konnect');
    await connection.fault(FAILURE);
    for (const status of ['suspect', 'suspect', 'suspect', 'reauthorization_required']) {
      await connection.do('pause');
      await connection.do('resume');
      await every.look();
      expect((await connection.shown())['status']).toBe(status);
    }
    expect(await connection.renewals()).toBe(4);
  });
});

describe('what nobody knows', () => {
  const row = async ({ id }: Connected): Promise<Json> =>
    (
      await world.sql<Json>('select unknown_outcome, crashes, lease_owner from connections where id = $1', [
        id,
      ])
    )[0] ?? {};

  /** As `kill -9` leaves it: a lease whose holder never comes back. */
  async function crash(connection: Connected): Promise<void> {
    await world.sql(
      `update connections set lease_owner = 'killed', lease_epoch = lease_epoch + 1, attempts = attempts + 1,
         lease_until = broker_now() - interval '1 second', renew_at = broker_now() - interval '1 second'
       where id = $1`,
      [connection.id],
    );
  }

  it('is not forgotten over a pause: the refresh token that a killed process may have spent is not sent', async () => {
    const connection = await every.connected('fynd');
    await crash(connection);
    await connection.do('pause');
    await world.advance(600);
    await every.look();
    expect(await row(connection)).toMatchObject({ lease_owner: 'killed', unknown_outcome: null });
    await connection.do('resume');
    await every.look(TERM_S + 1);
    // It is put off for as long as the token in hand allows.
    expect(await connection.renewals()).toBe(0);
    expect(await row(connection)).toEqual({ lease_owner: null, unknown_outcome: 'crash', crashes: 1 });
    const { expires_at, renew_at } = await connection.shown();
    const before = Date.parse(String(expires_at)) - Date.parse(String(renew_at));
    expect(Math.abs(before - 45_000)).toBeLessThan(1_000);
  });

  it('is not forgotten where the process was killed while the pause was made', async () => {
    const connection = await every.connected('fynd');
    await connection.do('pause');
    await world.sql(
      `update connections set lease_owner = 'killed', lease_until = broker_now() + interval '20 seconds' where id = $1`,
      [connection.id],
    );
    await connection.do('resume');
    await every.look();
    expect(await row(connection)).toMatchObject({ lease_owner: 'killed' });
    await every.look(TERM_S + 1);
    expect(await row(connection)).toMatchObject({ lease_owner: null, unknown_outcome: 'crash' });
    expect(await connection.renewals()).toBe(0);
  });

  it('stays unknown where an answer was lost: the refusal of the probe tells where it went', async () => {
    const connection = await every.connected('fynd');
    await world.simulator.settings('fynd', { rotation: 'strict' });
    await connection.fault({ lost_reply: true, times: 1 });
    await connection.do('renew');
    await connection.do('pause');
    await world.advance(600);
    expect(await row(connection)).toMatchObject({ unknown_outcome: 'no_answer' });
    await connection.do('resume');
    await every.look();
    // It is put off as before: callers are served meanwhile.
    expect(await connection.renewals()).toBe(1);
    expect((await connection.token()).body).toMatchObject({ version: 1, stale: true });
    await world.advance(3_000 - 44);
    await every.look();
    expect(await connection.shown()).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'lost_in_flight',
    });
  });

  it('is over with another grant', async () => {
    const connection = await every.connected('fynd');
    await crash(connection);
    await connection.do('pause');
    await every.call('PUT', `/connections/${connection.path}`, {
      refresh_token: 'test-secret-other',
      paused: true,
    });
    expect(await row(connection)).toEqual({ lease_owner: null, unknown_outcome: null, crashes: 0 });
  });
});

describe('another grant for a paused connection', () => {
  it.each(['fynd', 'connect'] as const)('that a consent brings keeps the pause: %s', async (kind) => {
    const connection = await every.connected(kind);
    await connection.do('pause');
    await world.advance(3_601);
    await every.consent(kind, connection.company);
    expect(await connection.shown()).toMatchObject({ ...PAUSED, token_version: 2, last_error: null });
    expect((await connection.token()).body).toMatchObject({ version: 2, stale: false });
    await world.advance(3_601);
    await every.look();
    expect((await connection.token()).body['code']).toBe('connection_paused');
    expect(await connection.renewals()).toBe(0);
  });

  it('that an operator keeps ends the pause: Konnect', async () => {
    const connection = await every.connected('konnect');
    await connection.do('pause');
    const { status, body } = await world.keepKonnect(broker, connection.company);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'active', status_reason: null, renew_at: expect.any(String) });
  });

  it.each(['fynd', 'connect'] as const)(
    'that an operator imports ends the pause, unless it says so: %s',
    async (kind) => {
      const connection = await every.connected(kind);
      await connection.do('pause');
      const grant = { access_token: 'test-secret-a', refresh_token: 'test-secret-r', expires_in: 3_000 };
      const path = `/connections/${connection.path}`;
      expect((await every.call('PUT', path, { ...grant, paused: true })).body).toMatchObject(PAUSED);
      expect((await every.call('PUT', path, { ...grant, paused: false })).body).toMatchObject({
        status: 'active',
        status_reason: null,
        renew_at: expect.any(String),
      });
      await connection.do('pause');
      expect((await every.call('PUT', path, grant)).body['status']).toBe('active');
    },
  );
});
