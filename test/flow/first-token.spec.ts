import { beforeAll, describe, expect, it } from '@jest/globals';
import { UI_URL, useWorld, type LocalBroker } from '../support/world.js';

describe('a token, from nothing', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });

  it('is served after a seller has installed the extension', async () => {
    const landed = await world.install(broker, '42');
    expect([landed.status, landed.headers.get('location')]).toEqual([302, `${UI_URL}/company/42`]);

    const { status, headers, body } = await world.api(broker, 'GET', '/v1/tokens/fynd/companies/42');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    const token = String(body['access_token']);
    expect(body).toEqual({
      access_token: token,
      token_type: 'Bearer',
      header: { name: 'Authorization', value: `Bearer ${token}` },
      base_url: world.simulator.url,
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      expires_in: expect.any(Number),
      refresh_after: expect.stringMatching(/Z$/),
      scopes: ['company/products', 'company/orders'],
      version: 1,
      stale: false,
      provider: 'fynd',
      company_id: '42',
      location_id: null,
      level: 'company',
      connection_id: expect.any(String),
    });
    expect(await world.simulator.resource(token)).toBe(200);
  });

  it('is served after an operator has kept a Konnect credential', async () => {
    const kept = await world.keepKonnect(broker, '42');
    expect([kept.status, kept.body['token_version']]).toEqual([201, 1]);

    const { status, body } = await world.api(broker, 'GET', '/v1/tokens/konnect/companies/42');
    expect(status).toBe(200);
    expect(body['header']).toEqual({ name: 'x-access-token', value: body['access_token'] });
  });
});
