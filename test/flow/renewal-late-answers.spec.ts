import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Cable } from '../support/cable.js';
import { eventually, type Answer, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('an answer that comes late', () => {
  const world = useWorld();
  let cable: Cable;
  let broker: LocalBroker;

  beforeAll(async () => {
    cable = new Cable(new URL(world.databaseUrl));
    broker = await world.local({ DATABASE_URL: await cable.open() });
  });

  afterAll(async () => {
    cable.mend();
    await broker.broker.stop();
    cable.close();
  });

  beforeEach(async () => {
    cable.mend();
    await world.settle(broker);
    await world.sql('truncate connections, provider_states');
  });

  async function row(): Promise<Json & { id: string }> {
    const [found] = await world.sql<Json & { id: string }>('select * from connections');
    if (!found) throw new Error('there is no connection');
    return found;
  }

  /** A caller wants more than there is, and the provider keeps it waiting. */
  async function holdRenewal(fault: Json = {}): Promise<{ reading: Promise<Answer> }> {
    const held = { provider: 'fynd', operation: 'renew', times: 1, hold_until_released: true, ...fault };
    await world.simulator.fault(held);
    await world.advance(700);
    const reading = world.api(broker, 'GET', '/v1/tokens/fynd/companies/42?min_ttl=3000');
    reading.catch(() => undefined);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    return { reading };
  }

  const release = (): Promise<unknown> => world.simulator.control('POST', 'release');
  const renewals = async (): Promise<unknown> => (await world.simulator.ledger()).counters['renewals'];

  describe('when the lease is gone', () => {
    it('is kept where nobody brought anything newer', async () => {
      await world.install(broker, '42');
      await holdRenewal();
      await world.advance(21);
      await eventually(async () => (await row())['unknown_outcome'] === 'crash');
      await release();
      await world.settle(broker);
      expect(await row()).toMatchObject({
        token_version: 2,
        status: 'active',
        unknown_outcome: null,
        crashes: 0,
      });
      expect(await renewals()).toBe(1);
    });

    it('is dropped where the next holder has brought a newer token', async () => {
      await world.install(broker, '42');
      // Once a renewal has kept its refresh token, it may be sent again: the next holder does not wait.
      await world.api(broker, 'POST', `/v1/connections/${(await row()).id}/renew`);
      await holdRenewal();
      await world.advance(21);
      await eventually(async () => (await row())['token_version'] === 3);
      const newer = await row();
      await release();
      await world.settle(broker);
      const after = await row();
      expect([after['token_version'], after['sealed_token']]).toEqual([3, newer['sealed_token']]);
    });
  });

  describe('after a new consent', () => {
    it('is dropped where it is a token', async () => {
      await world.install(broker, '42');
      await holdRenewal();
      await world.install(broker, '42');
      const adopted = await row();
      await release();
      await world.settle(broker);
      expect(await row()).toEqual(adopted);
    });

    it('kills nothing where it is a refusal', async () => {
      await world.install(broker, '42');
      await holdRenewal({ status: 400, body: { error: 'invalid_grant' } });
      await world.install(broker, '42');
      await release();
      await world.settle(broker);
      expect(await row()).toMatchObject({ status: 'active', last_error: null, consecutive_failures: 0 });
    });

    it('and after it a revocation, revives nothing', async () => {
      await world.install(broker, '42');
      await holdRenewal();
      await world.api(broker, 'DELETE', `/v1/connections/${(await row()).id}`);
      await release();
      await world.settle(broker);
      expect(await row()).toMatchObject({ status: 'revoked', sealed_token: null, sealed_grant: null });
    });
  });

  describe('while the database is away', () => {
    it('is written when it is back, and nothing is asked twice', async () => {
      await world.simulator.settings('fynd', { rotation: 'strict' });
      await world.install(broker, '42');
      await holdRenewal();
      cable.cut();
      await release();
      await eventually(() => world.logs.some((line) => line.includes('the answer waits to be written')));
      expect(await row()).toMatchObject({ token_version: 1 });
      cable.mend();
      await eventually(async () => (await row())['token_version'] === 2);
      await world.settle(broker);
      expect((await world.simulator.ledger()).counters).toMatchObject({ renewals: 1, reused: 0 });
      expect(await row()).toMatchObject({ status: 'active', lease_owner: null, unknown_outcome: null });
    });

    it('is served from memory to those who waited for it', async () => {
      await world.install(broker, '42');
      const { reading } = await holdRenewal();
      cable.cut();
      await release();
      const patience = new Promise((resolve) => setTimeout(resolve, 3_000, 'nobody was answered within 3 s'));
      const answered = await Promise.race([reading.then(({ body }) => body), patience]);
      cable.mend();
      await world.settle(broker);
      expect(answered).toMatchObject({ version: 2 });
    });

    it('is served from memory to whoever asks, also where the calendar had asked for it', async () => {
      await world.install(broker, '42');
      await world.simulator.fault({
        provider: 'fynd',
        operation: 'renew',
        times: 1,
        hold_until_released: true,
      });
      await world.advance(3_601);
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
      cable.cut();
      await release();
      const read = (): Promise<Answer> => world.api(broker, 'GET', '/v1/tokens/fynd/companies/42');
      const { body } = await eventually(async () => {
        const answer = await read();
        return answer.status === 200 && answer;
      });
      expect(body).toMatchObject({ version: 2, stale: true });
      cable.mend();
      await eventually(async () => (await row())['token_version'] === 2);
      await world.settle(broker);
      const after = await eventually(async () => {
        const answer = await read();
        return answer.body['stale'] === false && answer;
      });
      expect([after.body['version'], after.body['access_token']]).toEqual([2, body['access_token']]);
      expect(await renewals()).toBe(1);
    });

    it('is written though its statement was cancelled', async () => {
      await world.install(broker, '42');
      await holdRenewal();
      await world.sql('begin');
      await world.sql('select 1 from connections for update');
      await release();
      // The statement that waits for the row is ended, as the statement timeout would.
      await eventually(async () => {
        await world.sql('select pg_stat_clear_snapshot()');
        const cancelled = await world.sql(
          `select pg_cancel_backend(pid) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like 'with given as%'`,
        );
        return cancelled.length > 0;
      });
      await world.sql('rollback');
      await world.settle(broker);
      expect(await row()).toMatchObject({ token_version: 2, lease_owner: null });
      expect(await renewals()).toBe(1);
    });
  });
});
