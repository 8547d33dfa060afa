import { describe, expect, it } from '@jest/globals';
import { useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

async function failure(token: string | null, ...scopes: string[]): Promise<[number, unknown]> {
  const { status, body } = await simulator.portal(token, ...scopes);
  expect(body['code'] ?? status).toBe(status);
  return [status, body['error']];
}

describe('a token made by hand in the portal', () => {
  it('opens what its scopes name', async () => {
    const { token } = await simulator.makePortalToken({ scopes: ['orders', 'products'] });
    expect(token).toMatch('simulated-secret');
    expect((await simulator.portal(token)).status).toBe(200);
    expect((await simulator.portal(token, 'orders', 'products')).body).toMatchObject({
      ok: true,
      token_type: 'service',
    });
    expect(await failure(token, 'orders', 'finance')).toEqual([403, 'Forbidden']);
    expect(await failure(token, 'orders,finance')).toEqual([403, 'Forbidden']);
  });

  it('opens everything where it is personal', async () => {
    const { token } = await simulator.makePortalToken({ token_type: 'personal', scopes: [] });
    expect((await simulator.portal(token, 'finance')).status).toBe(200);
  });

  it('is refused when it is missing, malformed or unknown', async () => {
    const { token } = await simulator.makePortalToken();
    expect(await failure(null)).toEqual([401, 'Unauthorized']);
    expect(await failure('made-up')).toEqual([401, 'Unauthorized']);
    const bare = await simulator.get('/portal/v1/resource', { authorization: token });
    expect(bare.status).toBe(401);
  });

  it('expires when it was told to, and else never', async () => {
    const short = await simulator.makePortalToken({ expires_in: 60 });
    const lasting = await simulator.makePortalToken();
    expect(Math.abs(Date.parse(short.expires_at ?? '') - Date.now() - 60_000)).toBeLessThan(5_000);
    expect(lasting.expires_at).toBeNull();
    await simulator.control('POST', 'clock', { advance_s: 61 });
    expect(await failure(short.token)).toEqual([401, 'Token expired']);
    await simulator.control('POST', 'clock', { advance_s: 1_000_000_000 });
    expect((await simulator.portal(lasting.token)).status).toBe(200);
  });

  it('is dead as soon as it is revoked, and no other', async () => {
    const [one, other] = [await simulator.makePortalToken(), await simulator.makePortalToken()];
    expect((await simulator.revokePortalToken(one.id)).body).toEqual({ revoked: true });
    expect(await failure(one.token)).toEqual([401, 'Unauthorized']);
    expect((await simulator.portal(other.token)).status).toBe(200);
    expect(await simulator.introspect(one.token)).toMatchObject({ provider: 'portal', active: false });
    expect((await simulator.revokePortalToken('portal-token-9')).body).toEqual({ revoked: false });
  });

  it('is turned away beyond the rate', async () => {
    const { token } = await simulator.makePortalToken();
    await simulator.settings('portal', { rate_limit: { per_second: 0.1, burst: 1 } });
    expect((await simulator.portal(token)).status).toBe(200);
    expect(await failure(token)).toEqual([429, 'Rate limit exceeded']);
    expect((await simulator.portal(token)).headers.get('retry-after')).toBe('10');
  });

  it('is struck by faults, of which the ledger tells', async () => {
    const { token } = await simulator.makePortalToken({ username: 'ann' });
    const other = await simulator.makePortalToken();
    await simulator.fault({ provider: 'portal', username: 'ann', status: 503 });
    expect((await simulator.portal(token)).status).toBe(503);
    expect((await simulator.portal(other.token, 'finance')).status).toBe(403);
    expect((await simulator.ledger('?provider=portal')).entries).toMatchObject([
      { operation: 'resource', username: 'ann', outcome: 'not_performed', grant_id: 'portal-token-1' },
      { outcome: 'forbidden', status: 403, grant_id: 'portal-token-2' },
    ]);
  });

  it('is made in one of four types, with scopes', async () => {
    for (const wrong of [
      { token_type: 'admin' },
      { scopes: 'orders' },
      { expires_in: 0 },
      { shared: true },
    ]) {
      const made = { token_type: 'base', scopes: [], ...wrong };
      expect((await simulator.control('POST', 'portal/tokens', made)).status).toBe(400);
    }
    for (const token_type of ['personal', 'service', 'base', 'test']) {
      expect(await simulator.makePortalToken({ token_type })).toMatchObject({ token_type });
    }
  });
});

describe('a reset', () => {
  it('forgets what every provider has given, and every setting', async () => {
    const portal = await simulator.makePortalToken();
    const connect = await simulator.oauth('connect').grant();
    const standard = await simulator.oauth('oauth2').grant();
    const fynd = await simulator.install('42');
    const konnect = await simulator.konnect({ username: 'a', password: 'p' });
    const providers = ['fynd', 'konnect', 'connect', 'oauth2', 'portal'];
    for (const provider of providers) await simulator.settings(provider, { clock_offset_s: 60 });

    await simulator.control('POST', 'reset');
    const secrets = [
      portal.token,
      connect.refresh,
      standard.access,
      fynd.refresh,
      konnect.body['access_token'],
    ];
    for (const secret of secrets) expect(await simulator.introspect(secret)).toEqual({ active: false });
    for (const provider of providers) {
      const { body } = await simulator.control('GET', `settings/${provider}`);
      expect([provider, body['clock_offset_s']]).toEqual([provider, 0]);
    }
    expect((await simulator.makePortalToken()).id).toBe('portal-token-1');
  });
});
