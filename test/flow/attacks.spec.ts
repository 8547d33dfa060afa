import { createHash, randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import { Vault } from '../../src/vault/vault.js';
import { Browser } from '../support/browser.js';
import { ask, eventually, type Answer } from '../support/http.js';
import { API_KEY, UI_URL, useWorld, type LocalBroker } from '../support/world.js';

/** A browser that has consented and has not come back yet. */
interface Consented {
  readonly browser: Browser;
  readonly back: URL;
  readonly state: string;
}

describe('a callback', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });
  beforeEach(async () => {
    await world.sql('delete from connections');
    await world.sql('delete from consumed_states');
  });

  async function consent(companyId = '42', browser = new Browser()): Promise<Consented> {
    const query = new URLSearchParams({ company_id: companyId, client_id: API_KEY });
    const begun = await browser.visit(`${broker.public}/fp/install?${String(query)}`);
    const agreed = await browser.visit(begun.headers.get('location') ?? '');
    const back = new URL(agreed.headers.get('location') ?? '');
    return { browser, back, state: back.searchParams.get('state') ?? '' };
  }

  /** The same address with other parameters; null takes one away. */
  function changed(url: URL, changes: Record<string, string | null>): URL {
    const copy = new URL(url);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) copy.searchParams.delete(name);
      else copy.searchParams.set(name, value);
    }
    return copy;
  }

  const visit = (url: URL, cookies: readonly string[], accept = 'text/html'): Promise<Answer> =>
    ask('GET', url.href, { accept, ...(cookies.length > 0 ? { cookie: cookies.join('; ') } : {}) });

  /** Both a browser and a program are told so, nothing is stored, and the provider is not asked. */
  async function expectRefused(url: URL, cookies: readonly string[]): Promise<void> {
    const before = [await world.dump(), await world.simulator.ledger()];
    const page = await visit(url, cookies);
    expect([page.status, page.headers.get('content-type')]).toEqual([400, 'text/html; charset=utf-8']);
    expect(page.text).toContain('<!doctype html>');
    expect(page.headers.getSetCookie()).toEqual([]);
    const problem = await visit(url, cookies, 'application/json');
    expect(problem.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(problem.body).toMatchObject({ status: 400, code: 'invalid_request' });
    expect([await world.dump(), await world.simulator.ledger()]).toEqual(before);
  }

  /** The cookie of a consent is worth something: with it the callback is taken. */
  async function expectTaken({ back }: Consented, cookies: readonly string[]): Promise<void> {
    expect((await visit(back, cookies)).headers.get('location')).toMatch(`${UI_URL}/company/`);
  }

  describe('is refused', () => {
    it('when it comes a second time, in this broker or in another', async () => {
      const { browser, back } = await consent();
      const { cookies } = browser;
      expect((await visit(back, cookies)).status).toBe(302);
      await expectRefused(back, cookies);
      const other = await world.local({ PUBLIC_URL: broker.public });
      await expectRefused(new URL(`${other.public}${back.pathname}${back.search}`), cookies);
    });

    it('when it comes a second time at the same moment: one of many wins', async () => {
      const { browser, back } = await consent();
      const answers = await Promise.all(Array.from({ length: 8 }, () => visit(back, browser.cookies)));
      expect(answers.map(({ status }) => status).sort()).toEqual([302, 400, 400, 400, 400, 400, 400, 400]);
      expect((await world.simulator.ledger()).counters['calls']).toBe(1);
    });

    it('in a browser that began nothing, or began something else', async () => {
      const mine = await consent();
      const stranger = await consent('43');
      await expectRefused(mine.back, []);
      await expectRefused(mine.back, stranger.browser.cookies);
      await expectRefused(mine.back, ['tb_0000000000000000=x', 'a=b', ';;;', '=']);
      await expectTaken(mine, mine.browser.cookies);
    });

    it('not at all by a look at it, which spends nothing', async () => {
      const { back, browser } = await consent();
      const cookie = browser.cookies.join('; ');
      expect((await ask('HEAD', back.href, { cookie })).status).toBe(200);
      expect((await world.simulator.ledger()).counters['calls']).toBe(0);
      expect((await browser.visit(back.href)).status).toBe(302);
    });

    it('after ten minutes', async () => {
      const [intime, late] = [await consent(), await consent('43')];
      await world.advance(595);
      await expectTaken(intime, intime.browser.cookies);
      await world.advance(6);
      await expectRefused(late.back, late.browser.cookies);
    });

    it('with the state of another tab, or for another company or extension than that tab began with', async () => {
      const one = await consent('42');
      const two = await consent('43', one.browser);
      const { cookies } = one.browser;
      expect(cookies).toHaveLength(2);
      await expectRefused(changed(one.back, { state: two.state }), cookies);
      await expectRefused(changed(one.back, { company_id: '43' }), cookies);
      await expectRefused(changed(one.back, { client_id: 'extension-2' }), cookies);
      await expectRefused(changed(one.back, { state: randomBytes(32).toString('base64url') }), cookies);
      await expectTaken(one, cookies);
      await expectTaken(two, cookies);
    });

    it.each(['company_id', 'client_id', 'state', 'code'])(
      'without %s, with an empty or two',
      async (name) => {
        const { browser, back } = await consent();
        await expectRefused(changed(back, { [name]: null }), browser.cookies);
        await expectRefused(changed(back, { [name]: '' }), browser.cookies);
        await expectRefused(new URL(`${back.href}&${name}=${back.searchParams.get(name)}`), browser.cookies);
        await expectRefused(changed(back, { [name]: 'x'.repeat(3_000) }), browser.cookies);
      },
    );

    it('when the seller said no, and what the address says of that is not repeated', async () => {
      const { browser, back } = await consent();
      const denied = changed(back, { code: null, error: 'access_denied', error_description: '<b>evil</b>' });
      await expectRefused(denied, browser.cookies);
      await expectRefused(new URL(`${denied.href}&error=again`), browser.cookies);
      const { text } = await visit(denied, browser.cookies);
      expect(text).toContain('You did not agree');
      expect(text).not.toMatch(/evil|access_denied/);

      await world.simulator.settings('fynd', { consent: 'deny' });
      const asked = await consent();
      await expectRefused(asked.back, asked.browser.cookies);
    });
  });

  describe('is refused with a cookie', () => {
    const begun = { provider: 'fynd', companyId: '43', clientId: API_KEY };
    const nameOf = (cookie: string): string => cookie.slice(0, cookie.indexOf('='));

    async function forged(make: (claims: object, token: string) => Promise<string> | string): Promise<void> {
      const { browser, back, state } = await consent('42');
      const [cookie = ''] = browser.cookies;
      const token = cookie.slice(cookie.indexOf('=') + 1);
      const now = Math.floor(world.clock.now().getTime() / 1_000);
      const claims = { install: begun, state, aud: 'token-broker install', iat: now, exp: now + 600 };
      const value = await make(claims, token);
      await expectRefused(changed(back, { company_id: '43' }), [`${nameOf(cookie)}=${value}`]);
    }

    const sign = (claims: object, key: Parameters<SignJWT['sign']>[0]): Promise<string> =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(key);
    const ownKey = (): Parameters<SignJWT['sign']>[0] => broker.broker.app.get(Vault).signingKey();

    it('whose content was changed', () =>
      forged((claims, token) => {
        const [header, , signature] = token.split('.');
        return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
      }));

    it('that is not signed', () => forged((claims) => new UnsecuredJWT({ ...claims }).encode()));

    it('signed with another key', () => forged((claims) => sign(claims, randomBytes(32))));

    it('signed with our key, for something else', () =>
      forged((claims) => sign({ ...claims, aud: 'token-broker session' }, ownKey())));

    it('signed with our key, for another state', () =>
      forged((claims) => sign({ ...claims, state: randomBytes(32).toString('base64url') }, ownKey())));

    it('signed with our key, without an end', () =>
      forged((claims) => sign({ ...claims, exp: undefined }, ownKey())));

    it('although one with all of that right would do', async () => {
      const { browser, back, state } = await consent('42');
      const [cookie = ''] = browser.cookies;
      const now = Math.floor(world.clock.now().getTime() / 1_000);
      const right = { install: { ...begun, companyId: '42' }, state, aud: 'token-broker install' };
      const value = await sign({ ...right, iat: now, exp: now + 600 }, ownKey());
      expect((await visit(back, [`${nameOf(cookie)}=${value}`])).status).toBe(302);
    });
  });

  describe('is answered with a page', () => {
    it('that loads and runs nothing, and tells no other site where it was', async () => {
      const { headers, text } = await visit(new URL(`${broker.public}/fp/auth`), []);
      const [, style = ''] = /<style>(.*)<\/style>/s.exec(text) ?? [];
      const hash = createHash('sha256').update(style).digest('base64');
      expect(headers.get('content-security-policy')).toBe(
        `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
      );
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).not.toMatch(/<script|\son\w+=|\sstyle=/i);
    });

    it('that repeats nothing of an address that is not an id', async () => {
      const { browser, back } = await consent();
      for (const evil of [
        '<script>alert(1)</script>',
        '"><img src=x>',
        "42'--",
        '../..',
        '..',
        '4 2',
        '4/2',
      ]) {
        const url = changed(back, { company_id: evil });
        await expectRefused(url, browser.cookies);
        expect((await visit(url, browser.cookies)).text).not.toMatch(/alert|<img|--|\.\.|4 2|4\/2/);
      }
    });
  });

  it('comes no more often at once than renewals may run, and a browser beyond that may ask again', async () => {
    await world.simulator.fault({ provider: 'fynd', operation: 'exchange', hold_until_released: true });
    const browsers = Array.from({ length: 40 }, () => new Browser());
    const backs = await Promise.all(
      browsers.map(async (browser) => {
        const begun = await browser.visit(`${broker.public}/fp/install?company_id=42&client_id=${API_KEY}`);
        const agreed = await browser.visit(begun.headers.get('location') ?? '');
        return agreed.headers.get('location') ?? '';
      }),
    );
    let answered = 0;
    const visits = browsers.map(async (browser, index) => {
      const page = await browser.visit(backs[index] ?? '');
      answered += 1;
      return page;
    });
    await eventually(() => answered >= 20);
    const toldAtOnce = answered;
    // For so long anybody waits for a call.
    await world.advance(10);
    await eventually(() => answered > toldAtOnce);
    await world.simulator.control('DELETE', 'faults');
    await world.simulator.control('POST', 'release');
    const pages = await Promise.all(visits);
    const busy = pages.flatMap((page, index) => (page.status === 503 ? [index] : []));
    // More than 20 find no place to wait in; of those, some find that too many others were before them.
    expect(busy.length).toBeGreaterThan(toldAtOnce);
    expect(busy.length).toBeLessThan(40);
    const { counters } = await world.simulator.ledger('?provider=fynd');
    expect(counters['peak_concurrency']).toBeLessThanOrEqual(16);
    expect(counters['exchanges']).toBe(40 - busy.length);
    const first = busy[0] ?? 0;
    expect(pages[first]?.text).toContain('Too many people are connecting just now');
    expect((await browsers[first]?.visit(backs[first] ?? ''))?.status).toBe(302);
  });
});

describe('a callback over https', () => {
  const world = useWorld();

  it('believes a cookie under its __Host- name alone, which no neighbouring host can plant', async () => {
    const broker = await world.local({ PUBLIC_URL: 'https://broker.example' });
    const begin = `${broker.public}/fp/install?company_id=42&client_id=${API_KEY}`;
    const begun = await ask('GET', begin);
    const [, name = '', value = ''] =
      /^(__Host-tb_[^=]+)=([^;]+)/.exec(begun.headers.getSetCookie()[0] ?? '') ?? [];
    const agreed = await ask('GET', begun.headers.get('location') ?? '');
    const back = new URL(agreed.headers.get('location') ?? '');
    const callback = `${broker.public}${back.pathname}${back.search}`;

    const planted = await ask('GET', callback, { cookie: `${name.replace('__Host-', '')}=${value}` });
    expect([planted.status, (await world.simulator.ledger()).entries]).toEqual([400, []]);
    expect((await ask('GET', callback, { cookie: `${name}=${value}` })).status).toBe(302);
  });
});
