import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import { issueKey } from '../../src/clients/service-key.js';
import { ask, eventually, type Answer, type Json } from '../support/http.js';
import { Issuer, signingKey } from '../support/issuer.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('a workload', () => {
  const world = useWorld();
  let issuer: Issuer;
  let broker: LocalBroker;

  beforeAll(async () => {
    issuer = await Issuer.start();
    broker = await world.local({ WORKLOAD_ISSUERS: issuer.url });
    await world.keepKonnect(broker, '42');
  });

  afterAll(() => issuer.down());

  const subject = 'system:serviceaccount:shop:orders';
  const inSeconds = (seconds: number): number => Math.floor(world.clock.now().getTime() / 1_000) + seconds;
  const token = (sub = subject): Promise<string> =>
    issuer.token({ sub, aud: 'token-broker', exp: inSeconds(600) });
  const fetchWith = async (jwt: string): Promise<Answer> =>
    world.api(broker, 'GET', '/v1/tokens/konnect/companies/42', undefined, jwt);
  const create = (sub: string): Promise<Answer> =>
    world.api(broker, 'POST', '/v1/clients', {
      name: 'orders',
      permissions: [{ action: 'token:read', resource: 'konnect/companies/42' }],
      workload: { issuer: issuer.url, subject: sub },
    });

  it('calls with its own token, and has no key', async () => {
    const jwt = await token();
    expect(await fetchWith(jwt)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    const { status, body } = await create(subject);
    expect(status).toBe(201);
    expect(body).not.toHaveProperty('key');
    expect(body).toMatchObject({ workload: { issuer: issuer.url, subject }, keys: [], expires_at: null });
    expect((await fetchWith(jwt)).status).toBe(200);
    expect((await fetchWith(await token())).status).toBe(200);
    expect((await fetchWith(await token('system:serviceaccount:shop:others'))).status).toBe(401);
  });

  it('is one client', async () => {
    await create('twice');
    const { status, body } = await create('twice');
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
    expect(body['errors']).toEqual([{ field: 'workload', message: "is another client's already" }]);
  });

  it('is nobody once its client is deleted, whatever it still holds', async () => {
    const { body } = await create('brief');
    const jwt = await token('brief');
    expect((await fetchWith(jwt)).status).toBe(200);
    expect((await world.api(broker, 'DELETE', `/v1/clients/${String(body['id'])}`)).status).toBe(204);
    await eventually(async () => (await fetchWith(jwt)).status === 401);
    expect((await create('brief')).status).toBe(201);
    await eventually(async () => (await fetchWith(jwt)).status === 200);
  });

  it('that is known is not held back by what strangers send from its address', async () => {
    await create('known');
    const jwt = await token('known');
    const strangers = async (): Promise<Set<number>> => {
      const statuses = new Set<number>();
      for (let count = 0; count < 70; count += 1) {
        const unknown = await issuer.token({ sub: 'stranger', exp: inSeconds(600), n: count });
        statuses.add((await fetchWith(unknown)).status);
      }
      return statuses;
    };
    const { key } = await world.client(broker, 'token:read konnect/companies/42');
    for (const known of [jwt, key]) expect((await fetchWith(known)).status).toBe(200);
    expect(await strangers()).toEqual(new Set([401, 429]));
    for (const known of [jwt, key]) expect((await fetchWith(known)).status).toBe(200);
    // Known for longer than a verification counts.
    await world.advance(61);
    const { status, body, headers } = await fetchWith(await token('stranger'));
    expect(status).toBe(401);
    await strangers();
    for (const known of [jwt, key]) expect((await fetchWith(known)).status).toBe(200);
    expect([body['code'], headers.get('www-authenticate')]).toEqual([
      'unauthenticated',
      'Bearer realm="token-broker"',
    ]);
    // A new key that this replica has not seen waits like everybody, and is told for how long.
    const fresh = await world.client(broker, 'token:read konnect/companies/42');
    const refused = await fetchWith(fresh.key);
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    await world.advance(11);
    expect((await fetchWith(fresh.key)).status).toBe(200);
  });

  it('is a stranger again once its token has ended', async () => {
    await create('ending');
    const jwt = await issuer.token({ sub: 'ending', exp: inSeconds(60) });
    expect((await fetchWith(jwt)).status).toBe(200);
    await world.advance(61);
    expect((await fetchWith(jwt)).status).toBe(401);
    await world.advance(11);
    for (let count = 0; count < 60; count += 1) await fetchWith(issueKey().key.reveal());
    expect((await fetchWith(jwt)).status).toBe(429);
  });

  it('that was refused a moment ago is let in once it is a client', async () => {
    // So that it need not wait for what others have sent.
    await world.advance(11);
    const jwt = await token('soon');
    for (let sent = 0; sent < 2; sent += 1) expect((await fetchWith(jwt)).status).toBe(401);
    expect((await create('soon')).status).toBe(201);
    expect((await fetchWith(jwt)).status).toBe(200);
  });

  describe('that nobody vouches for', () => {
    const sub = 'vouched-for';
    const claims = (changes: Json = {}): Json => ({
      iss: issuer.url,
      sub,
      aud: 'token-broker',
      exp: inSeconds(600),
      ...changes,
    });
    const signedBy = (secret: string): Promise<string> =>
      new SignJWT(claims())
        .setProtectedHeader({ alg: 'HS256', kid: issuer.key.kid })
        .sign(Buffer.from(secret));
    const pem = (): string =>
      String(createPublicKey({ key: issuer.key.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));

    /** All that a caller can see, but what differs with every request. */
    const seen = ({ status, headers, body }: Answer): unknown => {
      const rest = [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name));
      return { status, headers: rest, body: { ...body, request_id: typeof body['request_id'] } };
    };
    const fetchWithout = (): Promise<Answer> => ask('GET', `${broker.api}/v1/tokens/konnect/companies/42`);

    beforeAll(async () => {
      await create(sub);
      // So that none of these waits for what others have sent.
      await world.advance(11);
    });

    it('is told no more than that it is not known', async () => {
      const { status, headers, body } = await fetchWithout();
      expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="token-broker"']);
      expect(body).toEqual({
        type: 'urn:token-broker:problem:unauthenticated',
        title: expect.any(String),
        status: 401,
        code: 'unauthenticated',
        detail: 'Send a valid key as "Authorization: Bearer <key>".',
        request_id: expect.any(String),
      });
    });

    it.each<[string, () => string | Promise<string>]>([
      ['another audience', () => issuer.token(claims({ aud: 'https://kubernetes.default.svc' }))],
      ['an empty audience', () => issuer.token(claims({ aud: '' }))],
      ['an empty list of audiences', () => issuer.token(claims({ aud: [] }))],
      ['no audience', () => issuer.token(claims({ aud: undefined }))],
      ['another issuer', () => issuer.token(claims({ iss: 'https://issuer.example' }))],
      ['its issuer but for a slash', () => issuer.token(claims({ iss: `${issuer.url}/` }))],
      ['no signature', () => new UnsecuredJWT(claims()).encode()],
      ['no algorithm, and something for a signature', () => `${new UnsecuredJWT(claims()).encode()}AAAA`],
      ["its issuer's public key for a shared secret, as PEM", () => signedBy(pem())],
      ["its issuer's public key for a shared secret, as JWK", () => signedBy(JSON.stringify(issuer.key.jwk))],
      ['an end that is over', () => issuer.token(claims({ exp: inSeconds(-1) }))],
      ['no end', () => issuer.token(claims({ exp: undefined }))],
      ['an end a year away', () => issuer.token(claims({ exp: inSeconds(365 * 86_400) }))],
      ['a beginning that is still to come', () => issuer.token(claims({ nbf: inSeconds(60) }))],
      ['a key that its issuer does not have', async () => issuer.token(claims(), {}, await signingKey())],
      [
        'the name of a key that is not the one that signed',
        async () => issuer.token(claims(), { kid: issuer.key.kid }, await signingKey()),
      ],
      ['a subject that is no client', () => issuer.token(claims({ sub: 'nobody' }))],
      ['a key that was never issued', () => issueKey().key.reveal()],
      ['a key of another form', () => 'tbk_test-secret-malformed'],
    ])('is told the same where it has %s', async (_, credential) => {
      expect(seen(await fetchWith(await credential()))).toEqual(seen(await fetchWithout()));
    });

    it('is told otherwise where nothing of the kind is wrong', async () => {
      expect((await fetchWith(await issuer.token(claims()))).status).toBe(200);
    });

    it('is believed again by the new key of its issuer, and by the old one no longer', async () => {
      const old = issuer.key;
      await issuer.rotate();
      // Anyone can make up a key: the issuer is asked for an unknown one only so often.
      await world.advance(31);
      expect((await fetchWith(await issuer.token(claims()))).status).toBe(200);
      expect((await fetchWith(await issuer.token(claims(), {}, old))).status).toBe(401);
      await issuer.rotate({ keep: true });
      await world.advance(31);
      const [before, after] = issuer.keys;
      for (const key of [before, after])
        expect((await fetchWith(await issuer.token(claims(), {}, key))).status).toBe(200);
    });
  });
});
