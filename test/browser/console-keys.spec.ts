import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.js';
import { eventually } from '../support/http.js';
import { KeyOperator } from '../support/keys.js';
import { OperatorBrowser } from '../support/operator-browser.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const SLOW_MS = 120_000;

const world = useWorld();
let broker: LocalBroker;
let chromium: Browser;
let operator: OperatorBrowser;
const keys = new KeyOperator(world, () => broker);

beforeAll(async () => {
  const former = await world.local();
  await world.keepKonnect(former, '1');
  await former.broker.stop();
  const both = `next:${randomBytes(32).toString('base64')},${world.environment()['ENCRYPTION_KEYS']}`;
  [broker, chromium] = await Promise.all([world.local({ ENCRYPTION_KEYS: both }), launchChromium()]);
  operator = await OperatorBrowser.open(chromium, broker);
  await operator.signIn(ADMIN_KEY);
  await operator.show('Keys');
}, SLOW_MS);

afterAll(async () => {
  await chromium?.close();
});

const button = (name: string): ReturnType<OperatorBrowser['page']['getByRole']> =>
  operator.page.getByRole('button', { name });

describe('on the page of keys', () => {
  it(
    'every data key is wrapped anew, once somebody has said so, and then there is nothing to be asked',
    async () => {
      const { page } = operator;
      await button('Rewrap…').click();
      await page.getByRole('dialog', { name: 'Wrap every data key by next?' }).waitFor();
      expect(await operator.faults()).toEqual([]);
      await page.getByRole('button', { name: 'Leave it' }).click();
      await button('Rewrap…').click();
      await page.getByRole('dialog').getByRole('button', { name: 'Rewrap' }).click();
      await page.getByRole('status').getByText('3 data keys are wrapped by next now.').waitFor();
      await page.getByRole('cell', { name: 'next', exact: true }).waitFor();
      await button('Rewrap…').waitFor({ state: 'detached' });
      expect((await keys.list()).map((key) => key['wrapped_by'])).toEqual(['next']);
    },
    SLOW_MS,
  );

  it(
    'a key that has sealed nothing any more is destroyed, and the page says why where the API does not do it yet',
    async () => {
      const { page } = operator;
      expect(await button('Destroy…').count()).toBe(0);
      await button('Rotate…').click();
      await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
      await eventually(async () => (await keys.list()).length > 1);
      const [active, former] = await keys.allMoved();
      await button(`Destroy… ${former?.id}`).click();
      const dialog = page.getByRole('dialog', { name: 'Destroy this key?' });
      await dialog.getByText(String(former?.id)).waitFor();
      await dialog.getByRole('button', { name: 'Destroy' }).click();
      await dialog.getByRole('alert').getByText('A moment ago it was in use').waitFor();
      expect(await operator.faults()).toEqual([]);
      await world.advance(301);
      await dialog.getByRole('button', { name: 'Destroy' }).click();
      await page.getByRole('status').getByText('The key is destroyed.').waitFor();
      await button('Destroy…').waitFor({ state: 'detached' });
      expect((await keys.list()).map(({ id }) => id)).toEqual([active?.id]);
      expect(operator.complaints).toEqual([]);
    },
    SLOW_MS,
  );
});
