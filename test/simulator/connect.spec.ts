import { describe, expect, it } from '@jest/globals';
import { useSimulator } from '../support/simulator-caller.js';

const simulator = useSimulator();
const connect = simulator.oauth('connect');
const PATH = '/connect/v1/oauth2/token';

describe('Connect', () => {
  it('gives a token that expires at an absolute second and has a type, nothing more', async () => {
    const { body } = await connect.grant();
    expect(body).toEqual({
      access_token: expect.stringContaining('simulated-secret'),
      refresh_token: expect.stringContaining('simulated-secret'),
      expires_at: expect.any(Number),
      type: 'bearer',
    });
    expect(Number.isInteger(body['expires_at'])).toBe(true);
    expect(Math.abs(Number(body['expires_at']) - Date.now() / 1000 - 3600)).toBeLessThan(5);
    await simulator.settings('connect', { expiry: 'expires_in', token_ttl: 60 });
    expect((await connect.grant()).body).toMatchObject({ expires_in: 60 });
  });

  it('takes the client in the header or in the body, of JSON or a form', async () => {
    const { refresh: refresh_token } = await connect.grant();
    const fields = { grant_type: 'refresh_token', refresh_token };
    const client = { client_id: 'demo-key', client_secret: 'demo-secret' };
    const answers = [
      await connect.send(PATH, fields),
      await connect.send(PATH, { ...fields, ...client }, { authorization: '' }),
      await connect.send(PATH, { ...fields, ...client }, { authorization: '' }, 'form'),
      await connect.send(PATH, { ...fields, ...client }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await connect.send(PATH, { ...fields, ...client, client_secret: 'other' })).status).toBe(401);
  });

  it('wants the redirect_uri of the consent again', async () => {
    const code = await connect.consent();
    const without = await connect.post({ grant_type: 'authorization_code', code });
    expect([without.status, without.body['error']]).toEqual([400, 'invalid_request']);
    const other = await connect.exchange(code, { redirect_uri: 'http://127.0.0.1:8081/elsewhere' });
    expect([other.status, other.body['error']]).toEqual([400, 'invalid_grant']);
    expect((await connect.exchange(code)).status).toBe(200);
  });

  it('knows no client credentials, revocation or metadata', async () => {
    const answer = await connect.post({ grant_type: 'client_credentials' });
    expect([answer.status, answer.body['error']]).toEqual([400, 'unsupported_grant_type']);
    await simulator.fault({ provider: 'connect', operation: 'revoke', status: 500 }).then(({ body }) => {
      expect(body['message']).toMatch('operation must be one of authorize, exchange, renew');
    });
  });

  it('answers in JSON or not at all', async () => {
    const code = await connect.consent();
    const fields = {
      grant_type: 'authorization_code',
      redirect_uri: 'http://127.0.0.1:8081/oauth/callback',
      code,
    };
    expect((await connect.post(fields, { accept: 'application/xml' })).status).toBe(406);
    expect((await connect.post(fields, { accept: 'application/xml, application/json;q=0.5' })).status).toBe(
      200,
    );
  });

  it('has codes for what is wrong with the client, and none for a dead grant', async () => {
    await simulator.settings('connect', { error_style: 'connect' });
    const fields = { grant_type: 'refresh_token', refresh_token: 'made-up' };
    const inBody = (client_id: string, client_secret: string): Record<string, string> => ({
      ...fields,
      client_id,
      client_secret,
    });
    const none = { authorization: '' };
    const answers = [
      await connect.post(fields, none),
      await connect.post(inBody('other', 'demo-secret'), none),
      await connect.post(inBody('demo-key', 'other'), none),
      await connect.post(fields),
    ];
    expect(answers.map(({ status, body }) => [status, body['code']])).toEqual([
      [401, 2032],
      [401, 2036],
      [401, 2038],
      [400, 400],
    ]);
    expect(answers[3]?.body).toEqual({ code: 400, message: 'Bad Request' });
    expect((await simulator.ledger()).entries.map((entry) => entry['outcome'])).toEqual([
      'invalid_client',
      'invalid_client',
      'invalid_client',
      'invalid_grant',
    ]);
  });

  it('opens its API for a living token, in either header', async () => {
    const { access } = await connect.grant({ login_hint: '42' });
    expect((await connect.resource(access)).body).toMatchObject({
      company_id: '42',
      grant_id: 'connect-grant-1',
    });
    expect((await connect.resource(access, 'ACCESSTOKEN')).status).toBe(200);
    expect((await connect.resource('made-up', 'ACCESSTOKEN')).status).toBe(401);
    await simulator.control('POST', 'clock', { advance_s: 3601 });
    expect((await connect.resource(access)).status).toBe(401);
    expect((await connect.resource(access, 'ACCESSTOKEN')).status).toBe(401);
  });

  it('lets a test address one grant: by who consented, or for which company', async () => {
    const ann = await connect.grant({}, 'simulated_user=ann');
    await simulator.settings('connect', { user_id: 'bob' });
    const bob = await connect.grant({ login_hint: '42' });
    const carol = await connect.grant({}, 'simulated_user=carol');
    await simulator.fault({ provider: 'connect', operation: 'renew', username: 'ann', status: 500 });
    await simulator.fault({ provider: 'connect', company_id: 42, status: 503 });
    const statuses = [];
    for (const { refresh } of [ann, bob, carol]) statuses.push((await connect.renew(refresh)).status);
    expect(statuses).toEqual([500, 503, 200]);
    expect((await simulator.ledger('?username=ann')).entries).toMatchObject([
      { operation: 'exchange', company_id: null, grant_id: 'connect-grant-1' },
      { operation: 'renew', outcome: 'not_performed', fault: 'fault-1' },
    ]);
    expect((await simulator.ledger('?grant_id=connect-grant-2')).counters).toMatchObject({
      calls: 2,
      renewals: 1,
    });
    expect(await simulator.introspect(carol.refresh)).toEqual({
      provider: 'connect',
      active: true,
      kind: 'refresh',
      company_id: null,
      username: 'carol',
      grant_id: 'connect-grant-3',
      expires_in: null,
    });
  });

  it('is struck by faults and limits as the others are', async () => {
    await simulator.settings('connect', { rotation: 'strict', clock_offset_s: 600 });
    const { refresh } = await connect.grant();
    await simulator.fault({ provider: 'connect', times: 1, lost_reply: true });
    expect(landingStatus(await connect.authorize())).toBe(302);
    await expect(connect.renew(refresh)).rejects.toThrow();
    const again = await connect.renew(refresh);
    expect([again.status, again.body['error']]).toEqual([400, 'invalid_grant']);
    expect(Math.abs(Date.parse(again.headers.get('date') ?? '') - Date.now() - 600_000)).toBeLessThan(5_000);

    await simulator.settings('connect', { rate_limit: { per_second: 0.01, burst: 1 } });
    expect((await connect.renew(refresh)).status).toBe(400);
    expect((await connect.renew(refresh)).status).toBe(429);
    expect((await simulator.oauth('oauth2').renew(refresh)).status).toBe(400);
  });
});

const landingStatus = ({ status }: Response): number => status;
