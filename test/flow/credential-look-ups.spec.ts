import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { KnownClient } from '../../src/clients/client-directory.js';
import { CredentialLookUps, MOST_REFUSED } from '../../src/clients/credential-look-ups.js';
import { hashOf } from '../../src/clients/service-key.js';
import { Database } from '../../src/database/database.js';
import { Notifications } from '../../src/database/notifications.js';
import { Permissions } from '../../src/shared/permission.js';
import { eventually } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const SOMEBODY: KnownClient = { id: 'somebody', keyId: null, permissions: new Permissions([]) };

describe('what is remembered of refused credentials', () => {
  const world = useWorld();
  let broker: LocalBroker;
  let notifications: Notifications;
  let clock: TestClock;
  let lookUps: CredentialLookUps;

  beforeAll(async () => {
    broker = await world.local();
    notifications = broker.broker.app.get(Notifications);
  });
  beforeEach(() => {
    clock = new TestClock();
    lookUps = new CredentialLookUps(clock, broker.broker.app.get(Database), notifications);
  });

  const nth = (number: number): string => hashOf(`test-secret-${number}`);
  const refuse = (number: number): Promise<unknown> =>
    lookUps.lookUp(nth(number), () => Promise.resolve(null));
  /** A change that another replica has made. */
  const change = (): Promise<unknown> => world.sql(`select pg_notify('clients', 'somebody')`);

  it('is that they were, for ten seconds, and nothing of those that have an owner', async () => {
    await refuse(1);
    expect(await lookUps.lookUp(nth(2), () => Promise.resolve(SOMEBODY))).toBe(SOMEBODY);
    expect([1, 2, 3].map((number) => lookUps.isRefused(nth(number)))).toEqual([true, false, false]);
    clock.advance(9);
    expect(lookUps.isRefused(nth(1))).toBe(true);
    clock.advance(1.1);
    expect(lookUps.isRefused(nth(1))).toBe(false);
  });

  it('is nothing where nobody could tell', async () => {
    const failing = lookUps.lookUp(nth(1), () => Promise.reject(new Error('away')));
    await expect(failing).rejects.toThrow('away');
    expect([lookUps.isRefused(nth(1)), lookUps.underWay(nth(1))]).toEqual([false, undefined]);
  });

  it('is nothing any more once a client has changed', async () => {
    await refuse(1);
    const changedAt = performance.now();
    await change();
    await eventually(() => !lookUps.isRefused(nth(1)));
    expect(performance.now() - changedAt).toBeLessThan(5_000);
  });

  it('is nothing where a client changed while it was looked up, and nobody goes by that answer', async () => {
    let answer: (client: null) => void = () => undefined;
    const looking = lookUps.lookUp(nth(1), () => new Promise((resolve) => (answer = resolve)));
    expect(lookUps.underWay(nth(1))).toBeDefined();
    await change();
    await eventually(() => lookUps.underWay(nth(1)) === undefined);
    answer(null);
    expect(await looking).toBeNull();
    expect(lookUps.isRefused(nth(1))).toBe(false);
  });

  it('is nothing while changes cannot be heard of, and nothing from before once they can', async () => {
    await refuse(1);
    await world.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'token-broker listen'`,
    );
    await eventually(() => !notifications.isLive());
    expect(lookUps.isRefused(nth(1))).toBe(false);
    await refuse(2);
    await eventually(() => notifications.isLive());
    expect([1, 2].map((number) => lookUps.isRefused(nth(number)))).toEqual([false, false]);
  });

  it('is bounded: made-up ones go, and not the one that is sent again and again', async () => {
    await refuse(0);
    for (let number = 1; number <= 2 * MOST_REFUSED; number += 1) {
      await refuse(number);
      if (number % 1_000 === 0) expect(lookUps.isRefused(nth(0))).toBe(true);
    }
    expect(lookUps.isRefused(nth(1))).toBe(false);
    expect(lookUps.isRefused(nth(2 * MOST_REFUSED))).toBe(true);
  });
});
