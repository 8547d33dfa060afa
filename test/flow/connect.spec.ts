import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from '../support/browser.js';
import { useConsents, useOtherBrokers, useProvidersFiles } from '../support/consents.js';
import { answer, HostileServer, says } from '../support/hostile-server.js';
import type { Json } from '../support/http.js';
import { API_KEY, API_SECRET, useWorld, type LocalBroker } from '../support/world.js';

const BASIC = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`;

/** A request as a server of a test got it. */
function read(request = ''): { line: string; headers: Record<string, string>; body: Json } {
  const [head = '', body = ''] = request.split('\r\n\r\n');
  const [line = '', ...lines] = head.split('\r\n');
  const headers = lines.map((it): [string, string] => {
    const colon = it.indexOf(': ');
    return [it.slice(0, colon).toLowerCase(), it.slice(colon + 2)];
  });
  return { line, headers: Object.fromEntries(headers), body: JSON.parse(body) as Json };
}

describe('Connect', () => {
  const world = useWorld();
  const seller = useConsents(world);
  const start = useOtherBrokers(world);
  const writeProviders = useProvidersFiles();
  const recorder = new HostileServer();
  let broker: LocalBroker;

  beforeAll(async () => {
    await recorder.open();
    broker = await world.local();
  });
  afterAll(() => recorder.close());

  const fault = (body: Json): Promise<unknown> => world.simulator.fault({ provider: 'connect', ...body });
  const consentAt = async (at: LocalBroker): Promise<URL> =>
    seller.open(await seller.link(at, 'connect'), new Browser());

  describe('asks a seller', () => {
    it('at its authorize URL, with exactly client_id, redirect_uri, scope, response_type and state', async () => {
      const { origin, pathname, searchParams } = await consentAt(broker);
      expect(`${origin}${pathname}`).toBe(`${world.simulator.url}/connect/oAuth/authorize`);
      expect([...searchParams].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([
        ['client_id', API_KEY],
        ['redirect_uri', `${broker.public}/oauth/connect/callback`],
        ['response_type', 'code'],
        ['scope', '*'],
        ['state', expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)],
      ]);
    });

    it('for the scopes of CONNECT_SCOPES, and says that it is connected', async () => {
      const other = await start({ CONNECT_SCOPES: 'contacts, deals' });
      expect((await consentAt(other)).searchParams.get('scope')).toBe('contacts deals');
      const page = await seller.connect(other, 'connect');
      expect([page.status, page.text]).toEqual([200, expect.stringContaining('The company is connected')]);
      expect((await seller.token(other, 'connect')).body['scopes']).toEqual(['contacts', 'deals']);
    });
  });

  describe('is asked for a token', () => {
    const token = { access_token: 'test-secret-a', refresh_token: 'test-secret-r', type: 'bearer' };

    /** What an exchange and a renewal send to a token endpoint that only records. */
    async function record(at: LocalBroker): Promise<ReturnType<typeof read>[]> {
      recorder.requests.length = 0;
      recorder.act = says(() =>
        answer(
          200,
          JSON.stringify({ ...token, expires_at: Math.floor(world.clock.now().getTime() / 1_000) + 3_600 }),
        ),
      );
      expect((await seller.connect(at, 'connect')).status).toBe(200);
      expect((await seller.renew(at, 'connect')).body['last_error']).toBeNull();
      return recorder.requests.map(read);
    }

    it('in JSON with the redirect_uri, and by the client in the header, for a code and for a refresh token', async () => {
      const at = await start({ CONNECT_TOKEN_URL: `${recorder.url}/v1/oauth2/token` });
      const redirect_uri = `${at.public}/oauth/connect/callback`;
      const headers = {
        authorization: BASIC,
        accept: 'application/json',
        'content-type': 'application/json',
      };
      const call = { line: 'POST /v1/oauth2/token HTTP/1.1', headers: expect.objectContaining(headers) };
      expect(await record(at)).toEqual([
        { ...call, body: { grant_type: 'authorization_code', code: expect.any(String), redirect_uri } },
        { ...call, body: { grant_type: 'refresh_token', refresh_token: 'test-secret-r', redirect_uri } },
      ]);
    });

    it('with client_id and client_secret in the body instead, where client_auth says so', async () => {
      const at = await start({
        PROVIDERS_FILE: writeProviders({
          connect: {
            kind: 'oauth2',
            authorize_url: '${CONNECT_AUTHORIZE_URL}',
            token_url: `${recorder.url}/token`,
            client_id: '${CONNECT_CLIENT_ID}',
            client_secret: '${CONNECT_CLIENT_SECRET}',
            client_auth: 'body',
            body: 'json',
            pkce: false,
          },
        }),
      });
      const client = { client_id: API_KEY, client_secret: API_SECRET };
      const [exchange, renewal] = await record(at);
      expect(exchange?.body).toEqual({
        ...client,
        grant_type: 'authorization_code',
        code: expect.any(String),
        redirect_uri: `${at.public}/oauth/connect/callback`,
      });
      expect(renewal?.body).toEqual({
        ...client,
        grant_type: 'refresh_token',
        refresh_token: 'test-secret-r',
      });
      for (const call of [exchange, renewal]) expect(call?.headers).not.toHaveProperty('authorization');
    });
  });

  describe('answers a token', () => {
    it('that ends at an absolute second, has a type, and opens its API as a bearer token', async () => {
      await seller.connect(broker, 'connect');
      const { body } = await seller.token(broker, 'connect');
      const accessToken = String(body['access_token']);
      expect(body).toMatchObject({
        token_type: 'Bearer',
        header: { name: 'Authorization', value: `Bearer ${accessToken}` },
        base_url: world.simulator.url,
        scopes: ['*'],
        version: 1,
      });
      expect(Math.abs(Number(body['expires_in']) - 3_600)).toBeLessThan(5);
      expect((await world.simulator.oauth('connect').resource(accessToken)).status).toBe(200);
    });

    it('that opens its API bare in the header that CONNECT_HEADER names', async () => {
      const other = await start({ CONNECT_HEADER: 'ACCESSTOKEN' });
      await seller.connect(other, 'connect');
      const { body } = await seller.token(other, 'connect');
      const accessToken = String(body['access_token']);
      expect(body['header']).toEqual({ name: 'ACCESSTOKEN', value: accessToken });
      const opened = await world.simulator.oauth('connect').resource(accessToken, 'ACCESSTOKEN');
      expect(opened.status).toBe(200);
    });

    it.each([120, -120])(
      'that ends when it should, where its clock is off by %i s',
      async (clock_offset_s) => {
        await world.simulator.settings('connect', { clock_offset_s, token_ttl: 1_800 });
        await seller.connect(broker, 'connect');
        const lifetime = async (): Promise<number> =>
          Number((await seller.token(broker, 'connect')).body['expires_in']);
        expect(Math.abs((await lifetime()) - 1_800)).toBeLessThan(5);
        await world.advance(600);
        expect((await seller.renew(broker, 'connect')).body['token_version']).toBe(2);
        expect(Math.abs((await lifetime()) - 1_800)).toBeLessThan(5);
      },
    );

    it('that a renewal replaces, with the refresh token that came last', async () => {
      await world.simulator.settings('connect', { rotation: 'strict' });
      await seller.connect(broker, 'connect');
      const first = (await seller.token(broker, 'connect')).body['access_token'];
      for (const token_version of [2, 3]) {
        expect((await seller.renew(broker, 'connect')).body).toMatchObject({
          token_version,
          last_error: null,
        });
      }
      const { body } = await seller.token(broker, 'connect');
      expect(body['access_token']).not.toBe(first);
      expect(body).toMatchObject({ version: 3, scopes: ['*'], stale: false });
    });
  });

  describe('refuses', () => {
    const misconfigured = ['active', 502, 'provider_misconfigured'] as const;
    const later = ['active', 503, 'provider_unavailable'] as const;
    const suspect = ['suspect', 503, 'provider_unavailable'] as const;

    /** Renews under the fault and looks at what is left: always the token in hand, never a dead grant. Then it heals. */
    async function expectRenewal(
      struck: Json,
      [status, problem, code]: readonly [string, number, string],
      last_error: string,
    ): Promise<void> {
      await world.advance(600);
      await fault({ operation: 'renew', ...struck });
      expect((await seller.renew(broker, 'connect')).body).toMatchObject({ status, last_error });
      const refused = await seller.token(broker, 'connect', '?min_ttl=3200');
      expect([refused.status, refused.body['code']]).toEqual([problem, code]);
      expect(refused.text).not.toContain('said-by-connect');
      const served = await seller.token(broker, 'connect');
      expect([served.status, served.body['stale']]).toEqual([200, true]);
      await world.simulator.control('DELETE', 'faults');
      await world.advance(31);
      expect(await seller.recover(broker, 'connect')).toMatchObject({ status: 'active' });
    }

    const said = (code: number | string): Json => ({ code, message: 'said-by-connect' });
    describe.each([
      [2032, 'API key is required'],
      [2036, 'invalid API key'],
      [2038, 'provide a valid API key'],
    ])('with the code %i (%s)', (code) => {
      it.each([200, 400, 401, 403])(
        'and HTTP %i: the provider is misconfigured, and the grant stays',
        async (status) => {
          await seller.connect(broker, 'connect');
          await seller.renew(broker, 'connect');
          await expectRenewal({ status, body: said(code) }, misconfigured, 'client_refused');
        },
      );

      it('a consent: nothing is stored, and the page says who can mend it', async () => {
        await fault({ operation: 'exchange', times: 1, status: 401, body: said(String(code)) });
        const page = await seller.connect(broker, 'connect');
        expect([page.status, page.text]).toEqual([502, expect.stringContaining('not set up rightly')]);
        expect(page.text).not.toContain('said-by-connect');
        expect(await seller.connection(broker, 'connect')).toBeUndefined();
      });
    });

    it.each([
      [2034, 'email is required'],
      [2039, 'email exists'],
      [2040, 'phone exists'],
      [2041, 'email is invalid'],
    ])(
      'with the code %i (%s): ours until it has renewed once, then a suspicion against the grant',
      async (code) => {
        await seller.connect(broker, 'connect');
        await expectRenewal({ status: 400, body: said(code) }, misconfigured, 'refused_without_code');
        await expectRenewal({ status: 400, body: said(code) }, suspect, 'refused_without_code');
      },
    );

    it.each([
      [400, 'a bad request', suspect, 'refused_without_code'],
      [401, 'unauthorized', suspect, 'refused_without_code'],
      [403, 'forbidden', suspect, 'refused_without_code'],
      [404, 'not found', misconfigured, 'endpoint_gone'],
      [405, 'a method that is not allowed', misconfigured, 'endpoint_gone'],
      [406, 'not acceptable', misconfigured, 'request_refused'],
      [410, 'gone', misconfigured, 'endpoint_gone'],
      [429, 'too many requests', later, 'rate_limited'],
      [500, 'an error of its server', later, 'server_error'],
      [503, 'down for maintenance', later, 'server_error'],
    ] as const)('with HTTP %i (%s), after it has renewed before', async (status, _, outcome, lastError) => {
      await seller.connect(broker, 'connect');
      await seller.renew(broker, 'connect');
      await expectRenewal({ status, body: said(status) }, outcome, lastError);
    });

    it.each([400, 401, 403])(
      'with HTTP %i, before it has ever renewed: that is put down to us',
      async (status) => {
        await seller.connect(broker, 'connect');
        await expectRenewal({ status, body: said(status) }, misconfigured, 'refused_without_code');
      },
    );

    it.each([
      [429, 7],
      [503, 9],
    ])('with HTTP %i, and is left alone for as long as its Retry-After says', async (status, retry_after) => {
      await world.simulator.settings('connect', { omit_refresh_token: true });
      await seller.connect(broker, 'connect');
      await seller.renew(broker, 'connect');
      await world.advance(600);
      await fault({ operation: 'renew', times: 1, status, retry_after, body: said(status) });
      await seller.renew(broker, 'connect');
      const refused = await seller.token(broker, 'connect', '?min_ttl=3200');
      expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
      const wait = Number(refused.headers.get('retry-after'));
      expect(wait).toBe(refused.body['retry_after']);
      expect(wait).toBeLessThanOrEqual(retry_after);
      expect(wait).toBeGreaterThan(retry_after - 3);
    });

    it('with invalid_grant alone what is surely dead', async () => {
      await seller.connect(broker, 'connect');
      await fault({ operation: 'renew', times: 1, status: 400, body: { error: 'invalid_grant' } });
      const renewed = await seller.renew(broker, 'connect');
      expect(renewed.body).toMatchObject({ status: 'reauthorization_required', last_error: 'invalid_grant' });
    });
  });
});
