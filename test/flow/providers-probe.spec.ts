import { describe, expect, it } from '@jest/globals';
import { eventually, type Json } from '../support/http.js';
import { NO_CONNECTIONS, useOperator } from '../support/operator.js';
import { useWorld } from '../support/world.js';

const world = useWorld();
const operator = useOperator(world);
const calls = async (): Promise<number> => Number((await world.simulator.ledger()).counters['calls']);
const refusing = (fault: Json): Promise<unknown> =>
  world.simulator.fault({ provider: 'fynd', operation: 'renew', ...fault });

describe('a probe of a provider', () => {
  it('renews a connection now, and shows how the provider then stands', async () => {
    await world.install(operator.broker, '42');
    const { status, body } = await operator.act('fynd', 'probe');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: 'fynd',
      status: 'ok',
      renewal_dialect: 'document',
      rotation_observed: 'none',
      connections: { ...NO_CONNECTIONS, active: 1 },
      probe: { connection_id: (await operator.row())['id'], outcome: 'renewed' },
    });
    expect(await operator.row()).toMatchObject({ token_version: 2, lease_owner: null });
  });

  it('renews one alone, and one that is due before others', async () => {
    for (const companyId of ['1', '2', '3', '4', '5']) await world.keepKonnect(operator.broker, companyId);
    await operator.act('konnect', 'pause');
    await world.sql(`update connections set renew_at = broker_now() where company_id = '4'`);
    const before = await calls();
    expect((await operator.act('konnect', 'probe')).body['probe']).toEqual({
      connection_id: (await operator.row('4'))['id'],
      outcome: 'renewed',
    });
    expect(await calls()).toBe(before + 1);
  });

  it('of a paused provider works, and the pause stays', async () => {
    await world.keepKonnect(operator.broker, '42');
    await operator.act('konnect', 'pause');
    expect((await operator.act('konnect', 'probe', operator.other)).body).toMatchObject({
      status: 'paused',
      probe: { outcome: 'renewed' },
    });
    expect(await operator.row()).toMatchObject({ token_version: 2 });
    await world.advance(3_000);
    await operator.settle();
    expect(await operator.row()).toMatchObject({ token_version: 2 });
  });

  it('of a misconfigured provider does not wait for its turn, and lifts it where it works', async () => {
    await world.install(operator.broker, '42');
    await refusing({ status: 401, body: { error: 'invalid_client' } });
    await operator.renewNow();
    expect((await operator.act('fynd', 'probe')).body).toMatchObject({
      status: 'misconfigured',
      probe: { outcome: 'client_refused' },
    });
    await world.simulator.control('DELETE', 'faults');
    expect((await operator.act('fynd', 'probe')).body).toMatchObject({
      status: 'ok',
      last_error: null,
      probe: { outcome: 'renewed' },
    });
  });

  it('does not wait for a backoff to be over, and tells our code for what went wrong', async () => {
    await world.install(operator.broker, '42');
    await refusing({ status: 503, retry_after: 600 });
    await operator.renewNow();
    const before = await calls();
    expect((await operator.act('fynd', 'probe')).body).toMatchObject({
      status: 'degraded',
      last_error: 'server_error',
      probe: { outcome: 'server_error' },
    });
    expect(await calls()).toBe(before + 1);
  });

  it('finds nothing where there is no connection, or none with a grant', async () => {
    const nothing = { connection_id: null, outcome: 'nothing_to_probe' };
    expect((await operator.act('fynd', 'probe')).body['probe']).toEqual(nothing);
    await world.install(operator.broker, '42');
    await world.api(operator.broker, 'DELETE', `/v1/connections/${String((await operator.row())['id'])}`);
    const { status, body } = await operator.act('fynd', 'probe');
    expect([status, body['probe'], await calls()]).toEqual([200, nothing, 1]);
  });

  it('leaves a dead grant alone', async () => {
    await world.install(operator.broker, '42');
    await refusing({ times: 1, status: 400, body: { error: 'invalid_grant' } });
    await operator.renewNow();
    expect((await operator.act('fynd', 'probe')).body['probe']).toMatchObject({
      outcome: 'nothing_to_probe',
    });
  });

  it('shares the renewal that is running, and waits no longer than a caller does', async () => {
    await world.install(operator.broker, '42');
    await refusing({ times: 1, hold_until_released: true });
    const first = operator.act('fynd', 'probe');
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    const second = operator.act('fynd', 'probe', operator.other);
    expect((await first).body['probe']).toEqual({
      connection_id: (await operator.row())['id'],
      outcome: 'still_running',
    });
    await world.simulator.control('POST', 'release');
    await second;
    expect((await world.simulator.ledger()).counters['renewals']).toBe(1);
  });
});
