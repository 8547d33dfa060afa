import { beforeAll, describe, expect, it } from '@jest/globals';
import { useConsents, useProvidersFiles } from '../support/consents.js';
import { eventually } from '../support/http.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

describe('a renewal that was out when its connection was revoked', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const file = useProvidersFiles();
  let broker: LocalBroker;

  beforeAll(async () => {
    const crm = {
      kind: 'oauth2',
      issuer: world.simulator.url,
      client_id: API_KEY,
      client_secret: API_SECRET,
    };
    broker = await world.local({ PROVIDERS_FILE: file({ crm }) });
  });

  const revocations = async (): Promise<unknown[]> =>
    (await world.simulator.ledger('?provider=oauth2&operation=revoke')).entries;

  it('gives back what it brings, which nobody would ever know of', async () => {
    // A server that does not end the new tokens with the old ones, as RFC 7009 allows.
    await world.simulator.settings('oauth2', { rotation: 'strict', reuse_revokes_family: false });
    await seller.connect(broker, 'crm');
    const id = String((await seller.connection(broker, 'crm'))?.['id']);
    const held = { provider: 'oauth2', operation: 'renew', hold_until_released: true, perform_first: true };
    await world.simulator.fault({ ...held, times: 1 });
    const renewing = world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);

    expect((await world.api(broker, 'DELETE', `/v1/connections/${id}`)).body).toEqual({
      upstream: 'revoked',
      token_valid_until: null,
    });
    const told = (await revocations()).length;
    await world.simulator.control('POST', 'release');
    expect((await renewing).body).toMatchObject({ status: 'revoked' });
    expect((await revocations()).length - told).toBe(2);
  });

  it('leaves a seller alone who has connected again', async () => {
    await seller.connect(broker, 'crm');
    const id = String((await seller.connection(broker, 'crm'))?.['id']);
    const held = { provider: 'oauth2', operation: 'renew', hold_until_released: true, perform_first: true };
    await world.simulator.fault({ ...held, times: 1 });
    const renewing = world.api(broker, 'POST', `/v1/connections/${id}/renew`);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    await seller.connect(broker, 'crm');
    await world.simulator.control('POST', 'release');
    expect((await renewing).body).toMatchObject({ status: 'active', token_version: 2 });
    expect(await revocations()).toEqual([]);
  });
});
