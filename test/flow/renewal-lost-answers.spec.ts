import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ProviderRegistry } from '../../src/provider/provider-registry.js';
import { RenewalAttempt } from '../../src/token/renewal-attempt.js';
import { RenewalClaims } from '../../src/token/renewal-claims.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

type Row = Json & { id: string; remaining: number; renewsIn: number | null };

/** Of a provider nobody knows whether a refresh token works twice: `rotation: unknown`, the default. */
describe('an answer that was lost', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
  });

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
  });

  async function row(): Promise<Row> {
    const [found] = await world.sql<Row>(
      `select *, extract(epoch from renew_at - broker_now())::float8 as "renewsIn",
              extract(epoch from expires_at - broker_now())::float8 as remaining from connections`,
    );
    if (!found) throw new Error('there is no connection');
    return found;
  }

  /** Installs, and has the first renewal fail in this way, once, when it is due. */
  async function loseFirstAnswer(fault: Json, rotation: 'none' | 'strict'): Promise<void> {
    await world.simulator.settings('fynd', { rotation });
    await world.install(broker, '42');
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, ...fault });
    await world.advance(2_900);
    await world.settle(broker);
  }

  /** Second after second, as the schedule looks; long before the token in hand is gone. */
  async function expectRenewedSoon(): Promise<void> {
    for (let second = 0; second < 15 && (await row())['token_version'] !== 2; second += 1) {
      await world.advance(1);
      await world.settle(broker);
    }
    expect(await row()).toMatchObject({ token_version: 2 });
  }

  const fetchToken = (): ReturnType<typeof world.api> =>
    world.api(broker, 'GET', '/v1/tokens/fynd/companies/42');
  const renewals = async (): Promise<number> => Number((await world.simulator.ledger()).counters['renewals']);

  it.each([
    ['a lost reply', { lost_reply: true }],
    ['a reset', { reset: true }],
    ['a 500', { status: 500 }],
    ['a page', { malformed: 'html', perform_first: true }],
    ['half an answer', { malformed: 'truncated' }],
    ['a 200 without a token', { malformed: 'no_token' }],
  ])('(%s) is not asked for again before the token in hand is nearly gone', async (_how, fault) => {
    await loseFirstAnswer(fault, 'none');
    expect(await renewals()).toBe(1);
    const { remaining, renewsIn, ...lost } = await row();
    expect(lost).toMatchObject({ status: 'active', unknown_outcome: 'no_answer', token_version: 1 });
    expect(Math.abs((renewsIn ?? NaN) - (remaining - 45))).toBeLessThan(1);
    expect((await fetchToken()).body).toMatchObject({ version: 1, stale: true });

    await world.advance(remaining - 50);
    await world.settle(broker);
    await Promise.all(Array.from({ length: 10 }, () => fetchToken()));
    expect(await renewals()).toBe(1);
    await world.advance(6);
    await world.settle(broker);
    expect(await renewals()).toBe(2);
    expect(await row()).toMatchObject({ status: 'active', unknown_outcome: null, token_version: 2 });
  });

  it.each([429, 408, 425])('is none where the answer was %i: that is simply asked again', async (status) => {
    await loseFirstAnswer({ status }, 'none');
    await expectRenewedSoon();
    expect(await row()).toMatchObject({ unknown_outcome: null, consecutive_failures: 0 });
  });

  it('may have rotated the refresh token: then the probe is refused, and tells so', async () => {
    await loseFirstAnswer({ lost_reply: true }, 'strict');
    await world.advance((await row()).remaining - 44);
    await world.settle(broker);
    expect(await row()).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'lost_in_flight',
      unknown_outcome: null,
      renew_at: null,
    });
    await world.advance(3_600);
    await world.settle(broker);
    expect((await world.simulator.ledger()).counters).toMatchObject({ renewals: 2, reused: 1 });
  });

  it('is probed once, though the refusal names no code', async () => {
    await world.simulator.settings('fynd', { error_style: 'fynd' });
    await world.sql(`insert into provider_states (provider, renewal_dialect) values ('fynd', 'document')`);
    await loseFirstAnswer({ lost_reply: true }, 'strict');
    await world.advance((await row()).remaining - 44);
    await world.settle(broker);
    await world.advance(3_600);
    await world.settle(broker);
    expect(await row()).toMatchObject({
      status: 'reauthorization_required',
      status_reason: 'lost_in_flight',
    });
    expect(await renewals()).toBe(2);
  });

  it('is probed again where the probe got no verdict, and no grant dies of that', async () => {
    await loseFirstAnswer({ lost_reply: true, times: 4 }, 'none');
    await world.advance((await row()).remaining - 44);
    for (let probe = 0; probe < 4; probe += 1) {
      await world.settle(broker);
      await world.advance(301);
    }
    await world.settle(broker);
    expect(await row()).toMatchObject({ status: 'active', unknown_outcome: null, token_version: 2 });
  });

  it.each([false, true])(
    'is simply asked for again where the last renewal kept the refresh token (left out: %s)',
    async (omit_refresh_token) => {
      await world.simulator.settings('fynd', { omit_refresh_token });
      await world.install(broker, '42');
      await world.api(broker, 'POST', `/v1/connections/${(await row()).id}/renew`);
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, lost_reply: true });
      await world.advance(2_900);
      await world.settle(broker);
      await world.advance(1);
      await world.settle(broker);
      expect(await row()).toMatchObject({ token_version: 3 });
      expect((await row()).remaining).toBeGreaterThan(3_500);
    },
  );

  it('is simply asked for again from Konnect, which mints from a credential', async () => {
    await world.keepKonnect(broker, '42');
    await world.simulator.fault({ provider: 'konnect', times: 2, lost_reply: true });
    await world.advance(2_900);
    await world.settle(broker);
    expect(await row()).toMatchObject({ unknown_outcome: null, status: 'active' });
    await expectRenewedSoon();
    expect((await world.simulator.ledger('?provider=konnect')).counters['calls']).toBe(4);
  });

  describe('with the process that waited for it', () => {
    /** As a process leaves the row that is killed while it waits for an answer. */
    async function crash(): Promise<void> {
      await world.sql(
        `update connections set lease_owner = 'killed', lease_epoch = lease_epoch + 1, lease_until = broker_now(),
                renew_at = broker_now()`,
      );
    }

    it('is probed when the token in hand is nearly gone', async () => {
      await world.install(broker, '42');
      await crash();
      await world.settle(broker);
      const { remaining, renewsIn, ...lost } = await row();
      expect(lost).toMatchObject({
        unknown_outcome: 'crash',
        crashes: 1,
        lease_owner: null,
        status: 'active',
      });
      expect(Math.abs((renewsIn ?? NaN) - (remaining - 45))).toBeLessThan(1);
      expect(await renewals()).toBe(0);
      await world.advance(remaining - 44);
      await world.settle(broker);
      expect(await renewals()).toBe(1);
      expect(await row()).toMatchObject({ unknown_outcome: null, crashes: 0, token_version: 2 });
    });

    it('is probed at most three times after as many more crashes', async () => {
      await world.install(broker, '42');
      for (let count = 1; count <= 4; count += 1) {
        await crash();
        if (count < 4) await world.sql('update connections set crashes = $1', [count]);
      }
      await world.settle(broker);
      expect(await row()).toMatchObject({
        status: 'reauthorization_required',
        status_reason: 'lost_in_flight',
      });
      expect(await renewals()).toBe(0);
    });

    it('is not forgotten by a next holder that ran out of time before it sent anything', async () => {
      await world.install(broker, '42');
      await world.advance(3_601);
      await crash();
      const { app } = broker.broker;
      // Nothing is due while a busy machine has been slow to hear what it was told.
      const [first] = await eventually(async () => {
        const { claims } = await app.get(RenewalClaims).due(app.get(ProviderRegistry).get('fynd'), 1);
        return claims.length > 0 && claims;
      });
      if (!first?.claimed.crashed) throw new Error('the connection could not be claimed');
      const claim = { ...first, claimedAt: world.clock.monotonic() - 11_000 };
      await app.get(RenewalAttempt).run(claim, { serveEarly: () => undefined, answered: () => undefined });
      expect(await renewals()).toBe(0);
      expect(await row()).toMatchObject({ lease_owner: null, unknown_outcome: 'crash' });
    });

    it('is put off as long as ever where a next holder gives back what it has not begun', async () => {
      await world.install(broker, '42');
      world.stopTicking(broker);
      // A look that was under way would take the crash for itself.
      await world.settle(broker);
      await crash();
      const { app } = broker.broker;
      const [claim] = await eventually(async () => {
        const { claims } = await app.get(RenewalClaims).due(app.get(ProviderRegistry).get('fynd'), 1);
        return claims.length > 0 && claims;
      });
      if (!claim?.claimed.crashed) throw new Error('the connection could not be claimed');
      await app.get(TokenRenewer).giveBack(claim);
      const { remaining, renewsIn, unknown_outcome: unknown } = await row();
      expect(unknown).toBe('crash');
      expect(Math.abs((renewsIn ?? NaN) - (remaining - 45))).toBeLessThan(1);
      await world.settle(broker);
      expect(await renewals()).toBe(0);
      // What was reported with a 401 serves nobody: it is probed at once.
      await world.api(broker, 'POST', '/v1/tokens/fynd/companies/42/report', { version: 1, status: 401 });
      expect(await renewals()).toBe(1);
    });
  });
});
