import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { page } from '../../src/http/page.js';
import { Browser } from '../support/browser.js';
import { ask } from '../support/http.js';
import { API_KEY, API_SECRET, UI_URL, useWorld, type LocalBroker } from '../support/world.js';

describe('a link that begins an install', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-attacks-'));
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const link = (parameters: Record<string, string>, at = broker): string =>
    `${at.public}/fp/install?${String(new URLSearchParams({ company_id: '42', client_id: API_KEY, ...parameters }))}`;

  /** Both a browser and a program are told so; nothing is stored, asked or remembered, and nobody is sent anywhere. */
  async function expectRefused(url: string, status = 400): Promise<void> {
    const before = await world.dump();
    const page = await ask('GET', url, { accept: 'text/html' });
    expect([url, page.status, page.headers.get('content-type')]).toEqual([
      url,
      status,
      'text/html; charset=utf-8',
    ]);
    expect(page.headers.has('location')).toBe(false);
    expect(page.headers.getSetCookie()).toEqual([]);
    expect(page.text).not.toContain('evil');
    const problem = await ask('GET', url, { accept: 'application/problem+json' });
    expect(problem.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(problem.body).toMatchObject({ status, code: 'invalid_request' });
    expect(problem.text).not.toContain('evil');
    expect(await world.dump()).toEqual(before);
    expect((await world.simulator.ledger()).counters['calls']).toBe(0);
  }

  describe('is refused with a redirect_path that', () => {
    it.each([
      ['names a host', '//evil.example'],
      ['names a host with backslashes', '\\\\evil.example'],
      ['names a host with a slash and a backslash', '/\\evil.example'],
      ['names a host behind a tab, which browsers drop', '/\t/evil.example'],
      ['names a host behind a line break, which browsers drop', '/\n/evil.example'],
      ['begins with what browsers drop', '\t//evil.example'],
      ['hides two slashes', '%2f%2fevil.example'],
      ['hides the second slash', '/%2fevil.example'],
      ['hides the second slash in capitals', '/%2Fevil.example'],
      ['hides two slashes behind one', '/%2f%2fevil.example'],
      ['hides a backslash', '/%5cevil.example'],
      ['hides a backslash twice', '/%255cevil.example'],
      ['hides a slash three times', '/%25252fevil.example'],
      ['hides a slash nine times', `/%${'25'.repeat(9)}2fevil.example`],
      ['hides a tab', '/%09/evil.example'],
      ['hides a line break and a header', '/%0d%0alocation:%20//evil.example'],
      ['hides nothing, badly', '/%zzevil.example'],
      ['ends in half an encoding', '/evil%'],
      ['is a scheme', 'https:evil.example'],
      ['is an address', 'https://evil.example/'],
      ['is a script', 'javascript:alert("evil")'],
      ['is a document', 'data:text/html,evil'],
      ['is a name', 'evil.example'],
      ['is a user of another host', '@evil.example'],
      ['is a port of another host', ':80@evil.example'],
      ['ends the host', '.evil.example'],
      ['is empty', ''],
      ['is not ASCII', '/évil-evil'],
      ['is not ASCII behind an encoding', '/%e2%80%aeevil'],
      ['looks like slashes', '/／evil.example'],
      ['holds a zero', '/%00evil.example'],
      ['is very long', `/${'evil'.repeat(250)}`],
    ])('%s', (_, redirect_path) => expectRefused(link({ redirect_path })));

    it('is given twice', () =>
      expectRefused(`${link({ redirect_path: '/orders' })}&redirect_path=//evil.example`));

    it('would lead nowhere, since the extension has no pages', async () => {
      const other = await world.local({ FYND_UI_URL: undefined });
      await expectRefused(link({ redirect_path: '/orders' }, other));
    });
  });

  describe('is taken with a redirect_path that', () => {
    it.each([
      ['is the top', '/'],
      ['is a page', '/company/42/orders'],
      ['has a query and a fragment', '/orders?tab=2&next=https://evil.example/#top'],
      ['looks like a user of another host', '/@evil.example'],
      ['goes up', '/../../evil.example'],
      ['holds an encoding', '/orders?by=a%26b'],
      ['is as long as may be', `/${'a'.repeat(999)}`],
    ])('%s, and lands on the origin of the extension', async (_, redirect_path) => {
      const browser = new Browser();
      const begun = await browser.visit(link({ redirect_path }));
      const agreed = await browser.visit(begun.headers.get('location') ?? '');
      const landed = await browser.visit(agreed.headers.get('location') ?? '');
      const { origin } = new URL(UI_URL);
      expect(landed.status).toBe(302);
      expect(landed.headers.get('location')).toBe(new URL(redirect_path, origin).href);
      expect(new URL(landed.headers.get('location') ?? '').origin).toBe(origin);
    });
  });

  describe('is refused with a cluster_url', () => {
    const bad: [string, (port: string) => string][] = [
      ['of a metadata server', () => 'http://169.254.169.254/latest/meta-data'],
      ['of another host', () => 'https://evil.example'],
      ['of another port', () => 'http://127.0.0.1:1'],
      ['of another scheme', (port) => `https://127.0.0.1:${port}`],
      ['of another name for the same machine', (port) => `http://localhost:${port}`],
      ['with a user and a password', (port) => `http://user:evil@127.0.0.1:${port}`],
      ['with the right host as a user', (port) => `http://127.0.0.1:${port}@evil.example`],
      ['with the right host as a prefix', (port) => `http://127.0.0.1:${port}.evil.example`],
      ['with the right host in the path', (port) => `http://evil.example/127.0.0.1:${port}`],
      ['without a scheme', (port) => `//127.0.0.1:${port}`],
      ['that is a host alone', (port) => `127.0.0.1:${port}`],
      ['that is a file', () => 'file:///etc/passwd'],
      ['that is a script', () => 'javascript:alert("evil")'],
      ['that is empty', () => ''],
      ['that is very long', (port) => `http://127.0.0.1:${port}/${'evil'.repeat(200)}`],
    ];
    it.each(bad)('%s', async (_, make) => {
      await expectRefused(link({ cluster_url: make(new URL(world.simulator.url).port) }));
    });

    it('given twice, even if both are right', () =>
      expectRefused(
        `${link({ cluster_url: world.simulator.url })}&cluster_url=${encodeURIComponent(world.simulator.url)}`,
      ));

    it('but not with the right one, whatever path stands behind it', async () => {
      for (const cluster_url of [
        world.simulator.url,
        `${world.simulator.url}/`,
        `${world.simulator.url}/a?b`,
      ]) {
        const { status, headers } = await ask('GET', link({ cluster_url }));
        const { origin, pathname } = new URL(headers.get('location') ?? '');
        expect([status, origin]).toEqual([302, world.simulator.url]);
        expect(pathname).toBe('/service/panel/authentication/v1.0/company/42/oauth/authorize');
      }
    });
  });

  it('needs a cluster_url only where one extension is on two clusters', async () => {
    const cluster = (base_url: string): string =>
      JSON.stringify({ kind: 'fynd-platform', base_url, api_key: API_KEY, api_secret: '${FYND_API_SECRET}' });
    const file = join(folder, 'providers.yaml');
    const others = 'http://127.0.0.1:9';
    writeFileSync(file, `providers: { one: ${cluster(world.simulator.url)}, two: ${cluster(others)} }`);
    const two = await world.local({ PROVIDERS_FILE: file, FYND_API_SECRET: API_SECRET });
    await expectRefused(link({}, two));
    await expectRefused(link({ cluster_url: 'http://127.0.0.1:8' }, two));
    const { headers } = await ask('GET', link({ cluster_url: others }, two));
    expect(headers.get('location')).toMatch(`${others}/service/panel/`);
  });

  it.each(['company_id', 'client_id'])('is refused without %s, or with an empty or two', async (name) => {
    const url = new URL(link({}));
    const given = url.searchParams.get(name) ?? '';
    await expectRefused(`${url.href}&${name}=${given}`);
    url.searchParams.set(name, '');
    await expectRefused(url.href);
    url.searchParams.delete(name);
    await expectRefused(url.href);
    await expectRefused(`${url.href}&${name}[]=${given}&${name}.toString=${given}&__proto__=${given}`);
  });

  it('is refused for an extension that nobody has configured', () =>
    expectRefused(link({ client_id: 'evil-extension' })));

  it.each(['.', '..', '4 2', '4/2', '<b>evil</b>', 'é', 'evil\n', 'x'.repeat(65)])(
    'is refused for %j, which is no company',
    (company_id) => expectRefused(link({ company_id })),
  );

  it('is taken with parameters that nobody knows, even twice', async () => {
    expect((await ask('GET', `${link({ application_id: '000' })}&x=1&x=2&error=evil`)).status).toBe(302);
  });

  it.each([
    '/fp/uninstall',
    '/fp/auto_install',
    '/fp/install',
    '/fp/auth',
    '/fp',
    '/fp/',
    '/fp/../v1/clients',
  ])('sent to %s by POST is never an error of ours', async (path) => {
    const bodies = [
      '{"company_id":"42"}',
      '{"company_id":',
      '[]',
      'null',
      '"42"',
      '{"__proto__":{"a":1}}',
      '',
    ];
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'evil']) {
      for (const body of bodies) {
        const { status } = await ask('POST', `${broker.public}${path}`, { 'content-type': type }, body);
        expect([path, type, body, status < 500]).toEqual([path, type, body, true]);
      }
    }
    expect((await world.simulator.ledger()).counters['calls']).toBe(0);
  });

  it('comes to a page whose every text is escaped', () => {
    const evil = `<script>"&'</script>`;
    const shown = page(evil, evil, { href: `"onclick=${evil}`, label: evil });
    expect(shown).not.toMatch(/<script|"onclick|&'/);
    expect(shown).toContain('&#60;script&#62;&#34;&#38;&#39;&#60;/script&#62;');
  });
});
