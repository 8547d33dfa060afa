import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Route } from 'playwright-core';
import { Cable } from '../support/cable.js';
import { launchChromium } from '../support/chromium.js';
import { ask } from '../support/http.js';
import { OperatorBrowser } from '../support/operator-browser.js';
import { ADMIN_KEY, useWorld, type LocalBroker } from '../support/world.js';

const SLOW_MS = 120_000;

const world = useWorld();
let broker: LocalBroker;
let chromium: Browser;

beforeAll(async () => {
  [broker, chromium] = await Promise.all([world.local(), launchChromium()]);
}, SLOW_MS);

afterAll(async () => {
  await chromium?.close();
});

describe('who signs out', () => {
  const SESSION = '**/console/session';

  it(
    'is told that it failed, and what to do, for as long as they are not out',
    async () => {
      const leaver = await OperatorBrowser.open(chromium, broker);
      const { page, context } = leaver;
      const signOut = (): Promise<void> => page.getByRole('button', { name: 'Sign out' }).click();
      await leaver.signIn(ADMIN_KEY);
      for (const fail of [
        (route: Route): Promise<void> => route.abort(),
        (route: Route): Promise<void> => route.fulfill({ status: 502, body: 'bad gateway' }),
      ]) {
        await page.route(SESSION, (route) =>
          route.request().method() === 'DELETE' ? fail(route) : route.continue(),
        );
        await signOut();
        await page
          .getByRole('alert')
          .getByText(/Signing out has failed: this browser is still signed in.*delete this site’s cookies/)
          .waitFor();
        expect(await leaver.faults()).toEqual([]);
        await page.getByRole('heading', { name: 'Overview' }).waitFor();
        await page.unroute(SESSION);
      }
      const [copy] = await context.cookies();
      await signOut();
      await page.getByLabel('Key or workload token').waitFor();
      expect(await page.getByRole('alert').count()).toBe(0);
      expect(await context.cookies()).toEqual([]);
      const stolen = { cookie: `${copy?.name}=${copy?.value}` };
      expect((await ask('GET', `${broker.api}/v1/connections`, stolen)).status).toBe(401);
      await leaver.close();
    },
    SLOW_MS,
  );

  it(
    'is out, and told so, where only a copy of the session could not be ended',
    async () => {
      const cable = new Cable(new URL(world.databaseUrl));
      const cutOff = await world.local({ DATABASE_URL: await cable.open() });
      const leaver = await OperatorBrowser.open(chromium, cutOff);
      const { page, context } = leaver;
      await leaver.signIn(ADMIN_KEY);
      cable.cut();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page
        .getByRole('alert')
        .getByText(/This browser is signed out, but a copy of its session/)
        .waitFor();
      expect(await context.cookies()).toEqual([]);
      expect(await leaver.faults()).toEqual([]);
      cable.mend();
      await leaver.signIn(ADMIN_KEY);
      expect(await page.getByText('This browser is signed out').count()).toBe(0);
      await leaver.close();
      await cutOff.broker.stop();
      cable.close();
    },
    SLOW_MS,
  );
});
