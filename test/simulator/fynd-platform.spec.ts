import { describe, expect, it } from '@jest/globals';
import { BASIC, type Json, landing, told, useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();

describe('Fynd Platform consent', () => {
  it('approves at once and sends code, state, client and company back', async () => {
    const answer = await simulator.authorize('42');
    expect(answer.status).toBe(302);
    expect(Object.fromEntries(landing(answer))).toEqual({
      code: expect.stringContaining('simulated-secret'),
      state: 'state-1',
      client_id: 'demo-key',
      company_id: '42',
    });
  });

  it('refuses an unknown client, a relative redirect and another response type without redirecting', async () => {
    for (const wrong of [{ client_id: 'x' }, { redirect_uri: '/fp/auth' }, { response_type: 'token' }]) {
      expect((await simulator.authorize('42', wrong as Record<string, string>)).status).toBe(400);
    }
  });

  it('tells a refusal as access_denied', async () => {
    await simulator.settings('fynd', { consent: 'deny' });
    expect(landing(await simulator.authorize('42')).get('error')).toBe('access_denied');
  });

  it('asks once: an installed company sees no page again', async () => {
    await simulator.settings('fynd', { consent: 'ask' });
    const page = await simulator.authorize('42');
    expect(page.headers.get('content-type')).toMatch('text/html');
    expect(await page.text()).toMatch(/decision=approve.*decision=deny/s);
    await simulator.exchange('42', await simulator.consent('42', { decision: 'approve' }));
    expect((await simulator.authorize('42')).status).toBe(302);
    expect((await simulator.authorize('42', { scope: 'company/orders' })).status).toBe(200);
  });
});

describe('a Fynd Platform code', () => {
  it('is good once at each endpoint', async () => {
    const code = await simulator.consent('42');
    expect((await simulator.exchange('42', code, 'offline-token')).status).toBe(200);
    expect((await simulator.exchange('42', code, 'token')).status).toBe(200);
    expect((await simulator.exchange('42', code, 'offline-token')).body['error']).toBe('invalid_grant');
    expect((await simulator.exchange('42', code, 'token')).body['error']).toBe('invalid_grant');
  });

  it('is good for its company only, and for ten minutes', async () => {
    const code = await simulator.consent('42');
    expect((await simulator.exchange('43', code)).body['error']).toBe('invalid_grant');
    await simulator.control('POST', 'clock', { advance_s: 601 });
    expect((await simulator.exchange('42', code)).body['error']).toBe('invalid_grant');
  });
});

describe('a Fynd Platform token', () => {
  it('comes offline with a refresh token and an expiry in fractional seconds', async () => {
    const { body } = await simulator.install('42');
    expect(body).toEqual({
      access_token: expect.stringContaining('simulated-secret'),
      token_type: 'bearer',
      expires_in: 3600,
      expires_at: expect.any(Number),
      scope: ['company/profile', 'company/products'],
      refresh_token: expect.stringContaining('simulated-secret'),
    });
    expect(Number.isInteger(body['expires_at'])).toBe(false);
  });

  it('comes online with its user and without a refresh token', async () => {
    await simulator.settings('fynd', { user_id: 'user-7' });
    const { body } = await simulator.exchange(
      '42',
      await simulator.consent('42', { access_mode: 'online' }),
      'token',
    );
    expect(body['current_user']).toMatchObject({ _id: 'user-7' });
    expect(body).not.toHaveProperty('refresh_token');
  });

  it('is the same one when an installed company authorises again, until it has expired', async () => {
    const first = await simulator.install('42');
    await simulator.control('POST', 'clock', { advance_s: 600 });
    const second = await simulator.install('42');
    expect([second.access, second.refresh]).toEqual([first.access, first.refresh]);
    expect(second.body['expires_in']).toBeLessThanOrEqual(3000);
    await simulator.control('POST', 'clock', { advance_s: 3600 });
    const third = await simulator.install('42');
    expect(third.access).not.toBe(first.access);
    expect(third.refresh).toBe(first.refresh);
  });

  it('is a new one when more scopes are consented to', async () => {
    const first = await simulator.install('42');
    const { body } = await simulator.exchange(
      '42',
      await simulator.consent('42', { scope: 'company/orders' }),
    );
    expect(body['access_token']).not.toBe(first.access);
    expect(body['scope']).toEqual(['company/profile', 'company/products', 'company/orders']);
  });

  it('opens the API for its own company while it lives', async () => {
    const { access } = await simulator.install('42');
    expect(await simulator.resource(access)).toBe(200);
    expect(await simulator.resource(access, 'order/v1.0/company/42/orders')).toBe(200);
    expect(await simulator.resource(access, 'order/v1.0/company/43/orders')).toBe(403);
    expect(await simulator.resource('made-up')).toBe(401);
    await simulator.control('POST', 'clock', { advance_s: 3601 });
    expect(await simulator.resource(access)).toBe(401);
  });

  it('needs the right api key and secret', async () => {
    const fields = { grant_type: 'authorization_code', code: await simulator.consent('42') };
    const wrong = `Basic ${Buffer.from('demo-key:other').toString('base64')}`;
    const refused = await simulator.post('42', 'offline-token', fields, wrong);
    expect([refused.status, refused.body['error']]).toEqual([401, 'invalid_client']);
    await simulator.settings('fynd', { error_style: 'fynd' });
    const bare = await simulator.post('42', 'offline-token', fields, wrong);
    expect(bare.body).toEqual({ message: 'Unauthorized', status: 401, code: 'SIMULATED-401' });
  });

  it('tells its expiry in every way that it is asked to', async () => {
    const { refresh } = await simulator.install('42');
    const seen: Json = {};
    for (const expiry of [
      'expires_in_text',
      'expires_at_ms',
      'expires_at_iso',
      'missing',
      'negative',
      'unreadable',
    ]) {
      await simulator.settings('fynd', { expiry });
      const { body } = await simulator.renew('42', refresh);
      seen[expiry] = [body['expires_in'], body['expires_at']].map((value) => typeof value);
    }
    expect(seen).toEqual({
      expires_in_text: ['string', 'undefined'],
      expires_at_ms: ['undefined', 'number'],
      expires_at_iso: ['undefined', 'string'],
      missing: ['undefined', 'undefined'],
      negative: ['number', 'undefined'],
      unreadable: ['string', 'string'],
    });
  });

  it('dies with the installation, and its refresh token too', async () => {
    const { access, refresh } = await simulator.install('42');
    expect((await simulator.control('POST', 'fynd/uninstall', { company_id: 42 })).body).toEqual({
      uninstalled: true,
    });
    expect(await simulator.resource(access)).toBe(401);
    expect((await simulator.renew('42', refresh)).body['error']).toBe('invalid_grant');
    expect((await simulator.ledger()).counters['reused']).toBe(0);
    expect((await simulator.install('42')).refresh).not.toBe(refresh);
  });
});

describe('a Fynd Platform renewal', () => {
  it('is accepted in both dialects, and keeps the refresh token', async () => {
    const { code, refresh, access } = await simulator.install('42');
    const asDocumented = await simulator.renewAsDocumented('42', refresh, code);
    const asLibrary = await simulator.renew('42', refresh);
    expect(asDocumented.body['refresh_token']).toBe(refresh);
    expect(asLibrary.body['refresh_token']).toBe(refresh);
    expect(new Set([access, asDocumented.body['access_token'], asLibrary.body['access_token']]).size).toBe(3);
    expect((await simulator.ledger('?operation=renew')).entries.map((entry) => entry['dialect'])).toEqual([
      'document',
      'library',
    ]);
  });

  it('in the documented dialect names a code of that grant', async () => {
    const { refresh } = await simulator.install('42');
    const foreign = (await simulator.install('43')).code;
    for (const code of [foreign, 'made-up']) {
      expect((await simulator.renewAsDocumented('42', refresh, code)).body['error']).toBe('invalid_grant');
    }
  });

  it('in a dialect that is switched off is refused, but not as a dead grant', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.settings('fynd', { dialects: ['document'], refused_dialect_status: 404 });
    const refused = await simulator.renew('42', refresh);
    expect([refused.status, refused.body['error']]).toEqual([404, 'unsupported_grant_type']);
    expect((await simulator.ledger('?limit=1')).entries[0]).toMatchObject({
      outcome: 'dialect_refused',
      status: 404,
    });
  });

  it('may omit the refresh token, which stays good', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.settings('fynd', { omit_refresh_token: true });
    expect((await simulator.renew('42', refresh)).body).not.toHaveProperty('refresh_token');
    expect((await simulator.renew('42', refresh)).status).toBe(200);
  });

  it('under strict rotation replaces the refresh token, and the ledger shows who uses an old one', async () => {
    const { refresh } = await simulator.install('42');
    await simulator.settings('fynd', { rotation: 'strict', reuse_revokes_family: false });
    const next = String((await simulator.renew('42', refresh)).body['refresh_token']);
    expect(next).not.toBe(refresh);
    expect((await simulator.renew('42', refresh)).body['error']).toBe('invalid_grant');
    expect((await simulator.renew('42', next)).status).toBe(200);
    const { entries, counters } = await simulator.ledger('?company_id=42&operation=renew');
    expect(entries.map((entry) => entry['reused'])).toEqual([false, true, false]);
    expect(counters).toMatchObject({ calls: 3, performed: 2, renewals: 3, reused: 1 });
  });
});

describe("Fynd Platform's extension details", () => {
  it('are told to the extension alone', async () => {
    const path = '/service/panel/partners/v1.0/extensions/details/demo-key';
    expect((await simulator.get(path)).status).toBe(401);
    const { body } = await told(await simulator.get(path, { authorization: BASIC }));
    expect(Object.keys(body)).toEqual(['extension_name', 'base_url', 'scope']);
  });
});
