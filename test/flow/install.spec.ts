import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fingerprint } from '../../simulator/secrets.js';
import { Browser } from '../support/browser.js';
import { ask, type Json } from '../support/http.js';
import { API_KEY, API_SECRET, UI_URL, useWorld, type LocalBroker } from '../support/world.js';

const HTTPS = 'https://broker.example';
const AUTHORIZE = '/service/panel/authentication/v1.0/company/42/oauth/authorize';

describe('an install', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });
  beforeEach(async () => {
    await world.sql('delete from connections');
    await world.sql('delete from provider_states');
  });

  const installUrl = (at: LocalBroker, more: Record<string, string> = {}): string =>
    `${at.public}/fp/install?${String(new URLSearchParams({ company_id: '42', client_id: API_KEY, ...more }))}`;

  /** Where consent sends the browser back to, on this broker whatever its PUBLIC_URL is. */
  async function consent(at: LocalBroker, browser: Browser, more: Record<string, string> = {}): Promise<URL> {
    const begun = await browser.visit(installUrl(at, more));
    const agreed = await browser.visit(begun.headers.get('location') ?? '');
    const { pathname, search } = new URL(agreed.headers.get('location') ?? '');
    return new URL(`${at.public}${pathname}${search}`);
  }

  async function install(at: LocalBroker, more: Record<string, string> = {}): Promise<string | null> {
    const browser = new Browser();
    const landed = await browser.visit((await consent(at, browser, more)).href);
    return landed.headers.get('location');
  }

  describe('begins', () => {
    it('without writing anything and without asking the provider', async () => {
      const before = await world.dump();
      expect((await new Browser().visit(installUrl(broker))).status).toBe(302);
      expect(await world.dump()).toEqual(before);
      expect((await world.simulator.ledger()).counters['calls']).toBe(0);
    });

    it('at the consent page of the configured provider, with exactly what the documents name', async () => {
      const { headers } = await new Browser().visit(installUrl(broker, { cluster_url: world.simulator.url }));
      const location = headers.get('location') ?? '';
      const { origin, pathname, searchParams } = new URL(location);
      expect(`${origin}${pathname}`).toBe(`${world.simulator.url}${AUTHORIZE}`);
      expect([...searchParams].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([
        ['access_mode', 'offline'],
        ['client_id', API_KEY],
        ['redirect_uri', `${broker.public}/fp/auth`],
        ['response_type', 'code'],
        ['scope', 'company/products,company/orders'],
        ['state', expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)],
      ]);
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cache-control')).toBe('no-store');
    });

    it('with another state and another cookie every time', async () => {
      const [one, two] = [new Browser(), new Browser()];
      const locations = await Promise.all([one, two].map((it) => it.visit(installUrl(broker))));
      const states = locations.map(({ headers }) =>
        new URL(headers.get('location') ?? '').searchParams.get('state'),
      );
      expect(new Set(states).size).toBe(2);
      expect(one.cookies).not.toEqual(two.cookies);
    });

    it('with the public address as its redirect_uri, whatever host the browser asked', async () => {
      const other = await world.local({ PUBLIC_URL: `${HTTPS}/tokens/` });
      const { headers } = await new Browser().visit(installUrl(other));
      const asked = new URL(headers.get('location') ?? '').searchParams;
      expect(asked.get('redirect_uri')).toBe(`${HTTPS}/tokens/fp/auth`);
    });
  });

  describe('keeps its state in a cookie', () => {
    /** The attributes, in lower case and in order; of the name its prefix. */
    const attributes = (lines: string[]): string[][] =>
      lines.map((line) => {
        const [pair = '', ...rest] = line.toLowerCase().split('; ');
        return [/^(.*tb_)[0-9a-f]{16}=/.exec(pair)?.[1] ?? pair, ...rest.sort()];
      });

    it.each([[HTTPS], ['http://broker.example']])(
      'that no script and no other host can read, where %s is public',
      async (publicUrl) => {
        const other = await world.local({ PUBLIC_URL: publicUrl });
        const browser = new Browser();
        const begun = await browser.visit(installUrl(other));
        const secure = ['httponly', 'partitioned', 'path=/', 'samesite=none', 'secure'];
        expect(attributes(begun.headers.getSetCookie())).toEqual([
          ['__host-tb_', ...['max-age=600', ...secure].sort()],
        ]);

        const landed = await browser.visit((await consent(other, browser)).href);
        expect(landed.status).toBe(302);
        expect(attributes(landed.headers.getSetCookie())).toEqual([
          ['__host-tb_', ...['max-age=0', ...secure].sort()],
        ]);
      },
    );

    it('that a browser takes over plain http too, but only on loopback', async () => {
      const { headers } = await new Browser().visit(installUrl(broker));
      expect(attributes(headers.getSetCookie())).toEqual([
        ['tb_', 'httponly', 'max-age=600', 'path=/', 'samesite=lax'],
      ]);
    });

    it('that says nothing of the code or the token, and is gone in the end', async () => {
      const browser = new Browser();
      const back = await consent(broker, browser);
      expect(browser.cookies).toHaveLength(1);
      await browser.visit(back.href);
      expect(browser.cookies).toEqual([]);
    });
  });

  describe('is redeemed', () => {
    it('once, for an offline token', async () => {
      const browser = new Browser();
      const back = await consent(broker, browser);
      const code = back.searchParams.get('code') ?? '';
      await browser.visit(back.href);
      const { entries } = await world.simulator.ledger();
      expect(entries).toMatchObject([
        { operation: 'exchange', company_id: '42', outcome: 'ok', fingerprints: { code: fingerprint(code) } },
      ]);
      // A code works once at each endpoint: it is spent at one of them only.
      const basic = `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`;
      const fields = { grant_type: 'authorization_code', code };
      expect((await world.simulator.post('42', 'offline-token', fields, basic)).status).toBe(400);
      expect((await world.simulator.post('42', 'token', fields, basic)).status).toBe(200);
    });

    it('in the very words of the document', async () => {
      const seen: Json[] = [];
      const provider = createServer((request, response) => {
        let text = '';
        request.on('data', (chunk: Buffer) => (text += chunk.toString()));
        request.on('end', () => {
          const { method, url, headers } = request;
          seen.push({ method, url, headers, body: JSON.parse(text) as unknown });
          response.setHeader('content-type', 'application/json');
          response.end('{"access_token":"test-secret-recorded","expires_in":60}');
        });
      });
      await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
      const origin = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
      const other = await world.local({ FYND_BASE_URL: `${origin}/` });
      const browser = new Browser();
      const begun = new URL((await browser.visit(installUrl(other))).headers.get('location') ?? '');
      const answer = { company_id: '42', client_id: API_KEY, code: 'test-secret-code' };
      const query = new URLSearchParams({ ...answer, state: begun.searchParams.get('state') ?? '' });
      expect((await browser.visit(`${other.public}/fp/auth?${String(query)}`)).status).toBe(302);
      await new Promise((resolve) => provider.close(resolve));
      expect(seen).toEqual([
        {
          method: 'POST',
          url: AUTHORIZE.replace('authorize', 'offline-token'),
          headers: expect.objectContaining({
            authorization: `Basic ${Buffer.from(`${API_KEY}:${API_SECRET}`).toString('base64')}`,
            'content-type': 'application/json',
            accept: 'application/json',
          }),
          body: {
            grant_type: 'authorization_code',
            code: 'test-secret-code',
            client_id: API_KEY,
            client_secret: API_SECRET,
            scope: ['company/products', 'company/orders'],
          },
        },
      ]);
    });

    const unavailable = [503, 'provider_unavailable', 'Fynd cannot be reached now'] as const;
    const senseless = [502, 'provider_protocol_error', 'Begin again'] as const;
    const misconfigured = [502, 'provider_misconfigured', 'not set up rightly'] as const;
    it.each([
      ['is away', { status: 503 }, ...unavailable],
      ['hangs up', { reset: true }, ...unavailable],
      ['limits the rate', { status: 429, retry_after: 7 }, ...unavailable],
      ['answers with a page', { malformed: 'html' }, ...senseless],
      ['answers without a token', { malformed: 'no_token' }, ...senseless],
      ['refuses our key', { status: 401, body: { error: 'invalid_client' } }, ...misconfigured],
      ['refuses us without a reason', { status: 403 }, ...misconfigured],
      ['has moved', { redirect: 'http://127.0.0.1:9/' }, ...misconfigured],
      [
        'refuses the code',
        { status: 400, body: { error: 'invalid_grant' } },
        ...([400, 'invalid_request', 'did not accept'] as const),
      ],
    ])('or not, and nothing is stored, where the provider %s', async (_, fault, status, code, text) => {
      await world.simulator.fault({ provider: 'fynd', operation: 'exchange', times: 2, ...fault });
      const browser = new Browser();
      const page = await browser.visit((await consent(broker, browser)).href);
      expect([page.status, page.headers.get('content-type')]).toEqual([status, 'text/html; charset=utf-8']);
      expect(page.text).toContain(text);

      // A limit of the rate keeps everybody from asking: here it is the second answer that counts.
      await world.sql('update provider_states set closed_until = null');
      const program = new Browser();
      const back = await consent(broker, program);
      const headers = { cookie: program.cookies.join('; '), accept: 'application/json' };
      const problem = await ask('GET', back.href, headers);
      expect(problem.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      expect(problem.body).toMatchObject({ status, code });

      for (const answer of [page, problem]) expect(answer.headers.has('retry-after')).toBe(status === 503);
      expect(await world.sql('select id from connections')).toEqual([]);
      expect((await world.simulator.ledger()).counters['calls']).toBe(2);
      await world.sql('update provider_states set closed_until = null');
      expect(await install(broker)).toBe(`${UI_URL}/company/42`);
    });
  });

  describe('lands', () => {
    it("at the company's page of the extension", async () => {
      expect(await install(broker)).toBe(`${UI_URL}/company/42`);
    });

    it('at the path that was asked for, on the origin of the extension', async () => {
      const path = '/orders?tab=2&of=a,b#newest';
      expect(await install(broker, { redirect_path: path })).toBe(`https://extension.example${path}`);
    });

    it('at a small page that says so, where the extension has no pages of its own', async () => {
      const other = await world.local({ FYND_UI_URL: undefined });
      const browser = new Browser();
      const { status, headers, text } = await browser.visit((await consent(other, browser)).href);
      expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(text).toContain('The company is connected');
      expect(text).toContain('company 42');
      expect(browser.cookies).toEqual([]);
    });
  });
});
