import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.js';

import { eventually } from '../support/http.js';
import { OperatorBrowser } from '../support/operator-browser.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const SLOW_MS = 120_000;
const HOSTILE = '<img src=x onerror="window.harmed = true">';

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

/** The row of a table in which this stands. */
const row = (text: string): ReturnType<OperatorBrowser['page']['getByRole']> =>
  operator.page.getByRole('row').filter({ hasText: text });

describe('who signs in', () => {
  it(
    'is told in words when the key is nobody’s, and is in with one that is somebody’s',
    async () => {
      const stranger = await OperatorBrowser.open(chromium, broker);
      const { page } = stranger;
      await stranger.goTo('');
      await page.getByLabel('Key or workload token').fill('test-secret-of-nobody-that-is-known-here');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').getByText('Send a valid key').waitFor();
      expect(await stranger.faults()).toEqual([]);
      await stranger.signIn(ADMIN_KEY);
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      await stranger.close();
    },
    SLOW_MS,
  );

  it('leaves nothing of the key in the browser: it has a cookie that no script sees, and that is not the key', async () => {
    const cookies = await operator.context.cookies();
    expect(cookies).toMatchObject([{ name: 'tb_console', httpOnly: true, sameSite: 'Strict', path: '/' }]);
    expect(cookies[0]?.value).not.toContain(ADMIN_KEY);
    const seen = await operator.run<string>(
      'JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, history.state]) + document.documentElement.outerHTML',
    );
    expect(seen).toMatch(/^\["",\{\},\{\},null\]/);
    expect(seen).not.toContain(ADMIN_KEY);
  });
});

describe('an operator', () => {
  beforeEach(async () => {
    await world.simulator.settings('connect', { consent: 'ask' });
  });

  it(
    'connects a company by a link on which a seller consents, and sees it turn well',
    async () => {
      const { page, context } = operator;
      await operator.show('Connect');
      await page.getByLabel('Provider', { exact: true }).selectOption('connect');
      await page.getByLabel('Company', { exact: true }).fill('7001');
      await page.getByRole('button', { name: 'Make a link' }).click();
      const link = await page.getByLabel('Link', { exact: true }).inputValue();
      await operator.picture('connect');
      await operator.show('Connections');
      const seller = await context.newPage();
      await seller.goto(link);
      await seller.getByRole('link', { name: 'Approve' }).click();
      await seller.getByText('The company is connected').waitFor();
      await seller.close();
      // Without reloading.
      await row('7001').getByText('Active').waitFor();
    },
    SLOW_MS,
  );

  it(
    'is told that a Konnect credential is refused, and that a right one is proven, and sees neither again',
    async () => {
      const { page } = operator;
      await operator.show('Connect');
      await page.getByLabel('Provider', { exact: true }).selectOption('konnect');
      await page.getByLabel('Company', { exact: true }).fill('7002');
      await page.getByLabel('Username').fill(HOSTILE);
      await page.getByLabel('Password').fill('wrong-test-secret-of-konnect');
      await page.getByRole('button', { name: 'Prove and keep' }).click();
      await page
        .getByRole('alert')
        .getByText(/The provider refuses this credential/)
        .waitFor();
      expect(await page.getByLabel('Password').inputValue()).toBe('');
      await page.getByLabel('Password').fill('test-secret-of-konnect');
      await page.getByRole('button', { name: 'Prove and keep' }).click();
      await page.getByRole('heading', { name: 'konnect · 7002' }).waitFor();
      await operator.see('All is well');
      expect(await operator.run('document.documentElement.outerHTML')).not.toMatch(
        /test-secret|simulated-secret/,
      );
    },
    SLOW_MS,
  );

  it(
    'keeps a token that a person made in a portal',
    async () => {
      const { page } = operator;
      await operator.show('Connect');
      await page.getByLabel('Provider', { exact: true }).selectOption('portal');
      await page.getByLabel('Company', { exact: true }).fill('7003');
      await page.getByLabel('Token', { exact: true }).fill('test-secret-of-a-portal');
      await page.getByRole('button', { name: 'Prove and keep' }).click();
      await page.getByRole('heading', { name: 'portal · 7003' }).waitFor();
      await page.getByText('service', { exact: true }).waitFor();
    },
    SLOW_MS,
  );

  it(
    'watches a renewal arrive that somebody else has caused',
    async () => {
      const { id } = (await world.keepKonnect(broker, '7004')).body;
      await operator.goTo(`#/connections/${String(id)}`);
      const version = operator.page.getByRole('status', { name: 'Version' });
      await version.getByText('1').waitFor();
      await operator.run('window.sameAsEver = true');
      await world.api(broker, 'POST', `/v1/connections/${String(id)}/renew`);
      await version.getByText('2').waitFor();
      expect(await operator.run('window.sameAsEver')).toBe(true);
    },
    SLOW_MS,
  );

  it(
    'renews, pauses, resumes and revokes, told before what stays valid',
    async () => {
      const { page } = operator;
      const { id } = (await world.keepKonnect(broker, '7005')).body;
      await operator.goTo(`#/connections/${String(id)}`);
      await page.getByRole('button', { name: 'Renew now' }).click();
      await page.getByRole('status', { name: 'Version' }).getByText('2').waitFor();
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.getByRole('button', { name: 'Revoke…' }).click();
      const question = page.getByRole('dialog', { name: 'Revoke konnect · 7005?' });
      await question.getByText(/version 2 of the token can use it until/).waitFor();
      await operator.picture('revoke');
      expect(await operator.faults()).toEqual([]);
      await question.getByRole('button', { name: 'Leave it' }).click();
      await question.waitFor({ state: 'hidden' });
      expect((await world.api(broker, 'GET', `/v1/connections/${String(id)}`)).body['status']).toBe('active');
      await page.getByRole('button', { name: 'Revoke…' }).click();
      await question.getByRole('button', { name: 'Revoke' }).click();
      await operator.see(/Revoked\. The provider has no way to be told\. It accepts the token/);
      await question.waitFor({ state: 'hidden' });
      expect((await world.api(broker, 'GET', `/v1/connections/${String(id)}`)).body['status']).toBe(
        'revoked',
      );
    },
    SLOW_MS,
  );

  it(
    'asks the trail what was refused, and what a caller still holds',
    async () => {
      const { page } = operator;
      const { id, key } = await world.client(broker, 'token:read konnect/companies/7004');
      const read = (company: string): Promise<unknown> =>
        world.api(broker, 'GET', `/v1/tokens/konnect/companies/${company}`, undefined, key);
      await read('7004');
      await read('7005');
      await operator.show('Audit');
      await page.getByLabel('Outcome').selectOption('denied');
      await page.getByRole('button', { name: 'Search' }).click();
      await row('konnect/companies/7005').getByText('denied').first().waitFor();
      await eventually(async () => (await page.getByRole('cell', { name: 'allowed' }).count()) === 0);
      await page.getByRole('link', { name: 'What does a caller still hold?' }).click();
      await page.getByLabel('Caller, by its name or id').fill(id);
      await page.getByRole('button', { name: 'Ask' }).click();
      await operator.see('1 of 1 tokens that it got are valid.');
      await row('konnect/companies/7004').waitFor();
      await operator.picture('exposure');
    },
    SLOW_MS,
  );

  it(
    'finds connections by company, state and provider, page after page',
    async () => {
      const { page } = operator;
      await world.sql(
        `insert into connections (id, provider, company_id, status)
       select gen_random_uuid(), 'connect', '8' || n, 'reauthorization_required' from generate_series(100, 220) n`,
      );
      await operator.goTo('#/connections?status=reauthorization_required');
      const rows = page.getByRole('rowheader');
      await eventually(async () => (await rows.count()) === 50);
      await page.getByRole('button', { name: 'Show more' }).click();
      await eventually(async () => (await rows.count()) === 100);
      await page.getByRole('button', { name: 'Show more' }).click();
      await eventually(async () => (await rows.count()) === 121);
      await page.getByLabel('Company, or an id').fill('8150');
      await page.getByRole('button', { name: 'Search' }).click();
      await eventually(async () => (await rows.count()) === 1);
      await page.getByLabel('Company, or an id').fill('nobody');
      await page.getByRole('button', { name: 'Search' }).click();
      await operator.see('There is no such connection');
      await operator.goTo('#/overview');
      await page.getByRole('link', { name: /^121\s*Need a person/ }).waitFor();
      await world.sql("delete from connections where company_id like '8___'");
    },
    SLOW_MS,
  );
});

describe('a name or a text that wants to be a program', () => {
  it(
    'is a text, wherever it comes from',
    async () => {
      const { page } = operator;
      await world.api(broker, 'POST', '/v1/clients', { name: HOSTILE, permissions: [] });
      await operator.show('Callers');
      await row(HOSTILE).waitFor();
      await world.simulator.fault({
        provider: 'konnect',
        status: 500,
        body: { message: HOSTILE, error: HOSTILE },
      });
      await operator.show('Connect');
      await page.getByLabel('Provider', { exact: true }).selectOption('konnect');
      await page.getByLabel('Company', { exact: true }).fill(HOSTILE);
      await page.getByLabel('Username').fill(HOSTILE);
      await page.getByLabel('Password').fill('test-secret');
      await page.getByRole('button', { name: 'Prove and keep' }).click();
      await page.getByText(/Company must be 1 to 64/).waitFor();
      await page.getByLabel('Company', { exact: true }).fill('7006');
      await page.getByLabel('Password').fill('test-secret');
      await page.getByRole('button', { name: 'Prove and keep' }).click();
      await page.getByRole('alert').waitFor();
      await operator.goTo(`#/connections?company_id=${encodeURIComponent(HOSTILE)}`);
      await page.getByRole('alert').waitFor();
      await operator.goTo(`#/${encodeURIComponent(HOSTILE)}`);
      await operator.see('There is no such page');
      expect(await operator.run('[window.harmed, document.images.length]')).toEqual([undefined, 0]);
      expect(operator.complaints).toEqual([]);
    },
    SLOW_MS,
  );
});
