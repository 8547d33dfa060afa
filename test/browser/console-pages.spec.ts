import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.js';
import { BUSY_DAY, CROWDED } from '../support/crowded.sql.js';
import { eventually } from '../support/http.js';
import { OperatorBrowser } from '../support/operator-browser.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const SLOW_MS = 120_000;

const world = useWorld();
let broker: LocalBroker;
let chromium: Browser;
let operator: OperatorBrowser;

beforeAll(async () => {
  [broker, chromium] = await Promise.all([world.local(), launchChromium()]);
  operator = await OperatorBrowser.open(chromium, broker);
  await operator.signIn(ADMIN_KEY);
}, SLOW_MS);

afterAll(async () => {
  await chromium?.close();
});

describe('a caller with fewer permissions', () => {
  it(
    'sees fewer things, and the API refuses what the page hides',
    async () => {
      await world.keepKonnect(broker, '7007');
      await world.keepKonnect(broker, '7008');
      const { key } = await world.client(broker, 'connection:read konnect/companies/7007');
      const narrow = await OperatorBrowser.open(chromium, broker);
      const { page } = narrow;
      await narrow.signIn(key);
      await page.getByRole('heading', { name: 'Connections' }).waitFor();
      await page.getByRole('link', { name: '7007' }).waitFor();
      expect(
        await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allTextContents(),
      ).toEqual(['Connections']);
      expect(await page.getByRole('link', { name: '7008' }).count()).toBe(0);
      await page.getByRole('link', { name: '7007' }).click();
      await narrow.see('All is well');
      expect(await page.getByRole('main').getByRole('button').count()).toBe(0);
      const { body } = await world.api(broker, 'GET', '/v1/connections?company_id=7007');
      const id = (body['items'] as { id: string }[])[0]?.id ?? '';
      const ask = (method: string, path: string): Promise<number> =>
        narrow.run(`fetch('${path}', { method: '${method}' }).then((it) => it.status)`);
      expect([
        await ask('GET', '/v1/overview'),
        await ask('POST', `/v1/connections/${id}/renew`),
        await ask('DELETE', `/v1/connections/${id}`),
        await ask('GET', '/v1/clients'),
        await ask('GET', '/v1/audit-events'),
        await ask('GET', '/v1/providers'),
      ]).toEqual([403, 403, 403, 403, 403, 403]);
      // A session leads to no token, whoever it is of.
      expect(await operator.run("fetch('/v1/tokens/konnect/companies/7007').then((it) => it.status)")).toBe(
        401,
      );
      await narrow.goTo('#/audit');
      await narrow.see('There is no such page');
      await narrow.close();
    },
    SLOW_MS,
  );

  it(
    'is out at once where the client is deleted',
    async () => {
      const { id, key } = await world.client(broker, 'connection:read **');
      const leaving = await OperatorBrowser.open(chromium, broker);
      await leaving.signIn(key);
      await leaving.page.getByRole('heading', { name: 'Overview' }).waitFor();
      await world.api(broker, 'DELETE', `/v1/clients/${id}`);
      await leaving.see('The session has ended');
      await leaving.close();
    },
    SLOW_MS,
  );
});

describe('every page', () => {
  const PAGES = ['Overview', 'Connections', 'Connect', 'Callers', 'Audit', 'Keys'];

  beforeAll(async () => {
    await world.client(broker, 'token:read konnect/companies/*', 'token:report konnect/companies/*');
    await world.install(broker, '9003');
    await world.sql(
      `update connections set status = 'reauthorization_required', status_reason = 'invalid_grant', died_at = broker_now(),
         renew_at = null where company_id = '9003'`,
    );
    await world.sql(CROWDED);
    await world.sql(BUSY_DAY);
  }, SLOW_MS);

  it.each(['light', 'dark'] as const)(
    'is as axe wants it, %s',
    async (colorScheme) => {
      const watcher = await OperatorBrowser.open(chromium, broker, { colorScheme });
      expect(await watcher.goTo('').then(() => watcher.faults())).toEqual([]);
      await watcher.signIn(ADMIN_KEY);
      for (const page of PAGES) {
        await watcher.show(page);
        await watcher.page.waitForLoadState('networkidle');
        expect([page, await watcher.faults()]).toEqual([page, []]);
        await watcher.picture(`${page.toLowerCase()}-${colorScheme}`);
      }
      await watcher.goTo('#/connections?company_id=9003');
      await watcher.page.getByRole('link', { name: '9003' }).click();
      await watcher.page.getByRole('heading', { name: 'fynd · 9003' }).waitFor();
      await watcher.page.waitForLoadState('networkidle');
      expect(await watcher.faults()).toEqual([]);
      await watcher.picture(`connection-${colorScheme}`);
      await watcher.close();
    },
    SLOW_MS,
  );

  it(
    'fits a phone',
    async () => {
      const phone = await OperatorBrowser.open(chromium, broker, { width: 375, height: 740 });
      await phone.signIn(ADMIN_KEY);
      for (const page of PAGES) {
        await phone.show(page);
        await phone.page.waitForLoadState('networkidle');
        expect([page, await phone.run('document.documentElement.scrollWidth')]).toEqual([page, 375]);
        await phone.picture(`${page.toLowerCase()}-phone`);
      }
      await phone.close();
    },
    SLOW_MS,
  );

  it(
    'can be reached and used by the keyboard alone',
    async () => {
      const { page } = await OperatorBrowser.open(chromium, broker);
      await page.goto(`${broker.api}/console`);
      await page.getByLabel('Key or workload token').waitFor();
      await page.keyboard.type(ADMIN_KEY);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      const focused = (): Promise<string> => page.evaluate<string>('document.activeElement.textContent');
      await page.keyboard.press('Tab');
      expect(await focused()).toBe('Skip to what this page shows');
      for (const name of ['Token Broker', 'Overview', 'Connections']) {
        await page.keyboard.press('Tab');
        expect(await focused()).toBe(name);
      }
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Connections' }).waitFor();
      // Where a link has led to is read out.
      await eventually(async () => (await page.evaluate('document.activeElement.id')) === 'main');
      await page.context().close();
    },
    SLOW_MS,
  );

  it(
    'asks nobody but the broker, breaks no rule of its own policy, and is small',
    async () => {
      const fresh = await OperatorBrowser.open(chromium, broker);
      await fresh.signIn(ADMIN_KEY);
      for (const page of PAGES) await fresh.show(page);
      await fresh.page.waitForLoadState('networkidle');
      const own = new URL(broker.api).origin;
      const all = [...fresh.asked, ...operator.asked].filter((url) => !url.startsWith('data:'));
      expect(all.filter((url) => new URL(url).origin !== own)).toEqual([]);
      expect([fresh.complaints, operator.complaints]).toEqual([[], []]);
      const total = [...fresh.bytes.values()].reduce((sum, it) => sum + it, 0);
      expect(fresh.bytes.size).toBeGreaterThan(5);
      expect(total).toBeLessThan(300 * 1024);
      await fresh.close();
    },
    SLOW_MS,
  );
});
