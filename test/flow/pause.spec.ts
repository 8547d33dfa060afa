import { beforeAll, describe, expect, it } from '@jest/globals';
import { ConnectionStore } from '../../src/token/connection.store.js';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { EveryKind, RENEWED, type Connected } from '../support/every-kind.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const world = useWorld();
let broker: LocalBroker;
const every = new EveryKind(world, () => broker, 30_000);

beforeAll(async () => {
  broker = await world.local();
  // Nothing is renewed but what a test asks for.
  await broker.broker.app.get(RenewalSchedule).stop();
});

const PAUSED = {
  status: 'paused',
  status_reason: 'paused_by_operator',
  renew_at: null,
  next_try_at: null,
  advice: expect.stringContaining('An operator has paused this connection'),
};
const TTL_S = 3_600;

/** Everybody who could have it renewed tries. */
async function everybodyTries(connection: Connected): Promise<void> {
  const { token_version } = await connection.shown();
  await every.look();
  await connection.token('?min_ttl=3000');
  await connection.report(Number(token_version));
  const { status, body } = await connection.do('renew');
  expect([status, body['code'], body['connection_id']]).toEqual([409, 'connection_paused', connection.id]);
  await every.look();
}

describe.each(RENEWED)('a paused connection of %s', (kind) => {
  it('is served while its token lives, and then is a 409', async () => {
    const connection = await every.connected(kind);
    const before = await connection.shown();
    const served = (await connection.token()).body;
    const { status, body } = await connection.do('pause');
    expect([status, body]).toEqual([200, { ...before, ...PAUSED, updated_at: expect.any(String) }]);
    await world.advance(1_000);
    const { body: later } = await connection.token('?min_ttl=2000');
    expect([later['access_token'], later['stale']]).toEqual([served['access_token'], false]);
    expect(later).not.toHaveProperty('warning');
    const short = await connection.token('?min_ttl=3000');
    expect([short.status, short.body['code'], short.body['connection_id']]).toEqual([
      409,
      'connection_paused',
      connection.id,
    ]);
    await world.advance(TTL_S);
    expect((await connection.token('?min_ttl=0')).body['code']).toBe('connection_paused');
    expect(await connection.shown()).toMatchObject(PAUSED);
  });

  it('is renewed by nobody, however old it gets', async () => {
    const connection = await every.connected(kind);
    await connection.do('pause');
    for (const seconds of [0, 0.85 * TTL_S, TTL_S, 30 * 86_400]) {
      await world.advance(seconds);
      await everybodyTries(connection);
    }
    expect(await connection.renewals()).toBe(0);
    expect(await connection.shown()).toMatchObject({ ...PAUSED, token_version: 1 });
  });

  it('that is reported is served on, with the reason why the report renews nothing', async () => {
    const connection = await every.connected(kind);
    await connection.do('pause');
    const { status, body } = await connection.report(1);
    expect([status, body['version'], body['warning']]).toEqual([200, 1, expect.stringMatching(/paused/)]);
    await world.advance(TTL_S + 1);
    expect((await connection.report(1)).body['code']).toBe('connection_paused');
    expect(await connection.renewals()).toBe(0);
  });

  it('is left alone, though it was due when it was paused', async () => {
    const connection = await every.connected(kind);
    await world.advance(0.85 * TTL_S);
    await connection.do('pause');
    await everybodyTries(connection);
    expect(await connection.renewals()).toBe(0);
  });

  it('is left alone, though it was failing and in a backoff when it was paused', async () => {
    const connection = await every.connected(kind);
    await connection.fault({ status: 503, times: 2 });
    await connection.do('renew');
    expect(await connection.shown()).toMatchObject({ last_error: 'server_error', consecutive_failures: 1 });
    await connection.do('pause');
    await world.advance(0.85 * TTL_S);
    await everybodyTries(connection);
    expect(await connection.renewals()).toBe(1);
    expect(await connection.shown()).toMatchObject({ ...PAUSED, consecutive_failures: 1 });
  });

  it('is looked at at once when it is resumed, however fresh its token is', async () => {
    const connection = await every.connected(kind);
    const before = await connection.shown();
    await connection.do('pause');
    const { status, body } = await connection.do('resume');
    const looked = {
      renew_at: expect.any(String),
      next_try_at: expect.any(String),
      advice: expect.stringContaining('renewed as soon as it can be'),
      updated_at: expect.any(String),
    };
    expect([status, body]).toEqual([200, { ...before, ...looked }]);
    expect(await connection.renewals()).toBe(0);
    await every.look();
    expect(await connection.renewals()).toBe(1);
    expect(await connection.shown()).toMatchObject({ status: 'active', token_version: 2 });
    // And from there on by the calendar.
    await every.look();
    expect(await connection.renewals()).toBe(1);
    await world.advance(0.85 * TTL_S);
    await every.look();
    expect((await connection.token()).body).toMatchObject({ version: 3, stale: false });
  });

  it('is the same again, and resuming what is not paused changes nothing', async () => {
    const connection = await every.connected(kind);
    const first = await connection.do('pause');
    expect((await connection.do('pause')).body).toEqual(first.body);
    const resumed = await connection.do('resume');
    const again = await connection.do('resume');
    expect([again.status, again.body]).toEqual([200, resumed.body]);
    await every.look();
    const renewed = await connection.shown();
    expect((await connection.do('resume')).body).toEqual(renewed);
    await every.look();
    expect(await connection.renewals()).toBe(1);
  });

  it('that was revoked is neither paused nor resumed', async () => {
    const connection = await every.connected(kind);
    await connection.do('pause');
    await connection.revoke();
    for (const what of ['pause', 'resume', 'renew'] as const) {
      const { status, body } = await connection.do(what);
      expect([status, body['code'], body['connection_id']]).toEqual([
        410,
        'connection_revoked',
        connection.id,
      ]);
    }
    await every.look();
    expect(await connection.renewals()).toBe(0);
    expect((await connection.shown())['status']).toBe('revoked');
  });
});

describe.each(['fynd', 'connect'] as const)('a dead connection of %s', (kind) => {
  it('is neither paused nor resumed: a seller has to connect again', async () => {
    const connection = await every.connected(kind);
    await connection.fault({ status: 400, body: { error: 'invalid_grant' } });
    await connection.do('renew');
    const dead = await connection.shown();
    expect(dead['status']).toBe('reauthorization_required');
    for (const what of ['pause', 'resume'] as const) {
      const { status, body } = await connection.do(what);
      expect([status, body['code'], body['connection_id']]).toEqual([
        409,
        'reauthorization_required',
        connection.id,
      ]);
    }
    expect(await connection.shown()).toEqual(dead);
  });
});

it('a connection that is not there cannot be paused or resumed', async () => {
  for (const what of ['pause', 'resume']) {
    const path = `/connections/00000000-0000-4000-8000-000000000000/${what}`;
    expect((await every.call('POST', path)).body['code']).toBe('connection_not_found');
  }
});

describe('whoever read the connection before a pause and acts after it', () => {
  it.each([false, true])('renews nothing: a caller, or an operator (%s)', async (force) => {
    const connection = await every.connected('fynd');
    const { app } = broker.broker;
    const before = await app.get(ConnectionStore).findById(connection.id);
    if (!before) throw new Error('it is there');
    await connection.do('pause');
    const row = await app.get(TokenRenewer).renew(before, before.tokenVersion, force);
    expect(row).toMatchObject({ status: 'paused', tokenVersion: 1 });
    expect(await connection.renewals()).toBe(0);
  });

  it('opens nothing by a report, though a probe was put off', async () => {
    const connection = await every.connected('fynd');
    await connection.fault({ lost_reply: true, times: 1 });
    await connection.do('renew');
    await connection.do('pause');
    expect(await broker.broker.app.get(ConnectionStore).acceptReport(connection.id, 1)).toBe(false);
    await every.look();
    expect(await connection.shown()).toMatchObject(PAUSED);
    expect(await connection.renewals()).toBe(1);
  });
});
