import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Json } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe("Fynd's two ways to renew", () => {
  const world = useWorld();
  let broker: LocalBroker;

  async function start(renewal?: string): Promise<void> {
    await world.sql('truncate connections, provider_states');
    broker = await world.local(renewal === undefined ? {} : { FYND_RENEWAL: renewal });
    await world.install(broker, '42');
  }

  afterEach(async () => {
    await broker.broker.stop();
  });

  async function row(): Promise<Json> {
    const [found] = await world.sql<Json>(`select * from connections where company_id = '42'`);
    return found ?? {};
  }

  async function renewNow(): Promise<Json> {
    return (await world.api(broker, 'POST', `/v1/connections/${String((await row())['id'])}/renew`)).body;
  }

  /** What was spoken, in order, and what the simulator made of it. */
  async function spoken(): Promise<string[]> {
    const { entries } = await world.simulator.ledger('?operation=renew');
    return entries.map(({ dialect, outcome }) => `${String(dialect)} ${String(outcome)}`);
  }

  async function remembered(): Promise<unknown> {
    const [state] = await world.sql<Json>(
      `select renewal_dialect from provider_states where provider = 'fynd'`,
    );
    return state?.['renewal_dialect'];
  }

  describe('auto', () => {
    beforeEach(() => start());

    it("speaks the document's first, and remembers that it worked", async () => {
      expect(await renewNow()).toMatchObject({ token_version: 2, last_error: null });
      expect(await renewNow()).toMatchObject({ token_version: 3 });
      expect(await spoken()).toEqual(['document ok', 'document ok']);
      expect(await remembered()).toBe('document');
    });

    it.each([400, 404, 405, 415])("speaks the libraries' once where %i refuses it", async (status) => {
      await world.simulator.settings('fynd', { dialects: ['library'], refused_dialect_status: status });
      expect(await renewNow()).toMatchObject({ token_version: 2, status: 'active', last_error: null });
      expect(await spoken()).toEqual(['document dialect_refused', 'library ok']);
      expect(await remembered()).toBe('library');
      expect(await row()).toMatchObject({ refusals: 0, consecutive_failures: 0, unknown_outcome: null });

      await renewNow();
      expect((await spoken()).slice(2)).toEqual(['library ok']);
    });

    it('counts two refused ways as no refusal of the grant', async () => {
      await world.simulator.settings('fynd', { dialects: [], error_style: 'fynd' });
      await renewNow();
      expect(await spoken()).toEqual(['document dialect_refused', 'library dialect_refused']);
      expect(await row()).toMatchObject({
        status: 'active',
        refusals: 0,
        token_version: 1,
        last_error: 'refused_without_code',
        unknown_outcome: null,
      });
      expect(await remembered()).toBeNull();
    });

    it('tries no other way with a grant that is dead, or with a server that is down', async () => {
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, status: 503 });
      expect(await renewNow()).toMatchObject({ status: 'active', last_error: 'server_error' });
      expect(await spoken()).toEqual(['document not_performed']);

      const body = { error: 'invalid_grant' };
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, status: 400, body });
      expect(await renewNow()).toMatchObject({ status: 'reauthorization_required' });
      expect(await spoken()).toHaveLength(2);
    });

    it('goes over to the other way when the provider gives up the one that worked', async () => {
      await renewNow();
      await world.simulator.settings('fynd', { dialects: ['library'], refused_dialect_status: 404 });
      expect(await renewNow()).toMatchObject({ token_version: 3, status: 'active' });
      expect(await remembered()).toBe('library');
    });

    it('knows a bare 400 in the way that is known to work for a doubt about the grant', async () => {
      await renewNow();
      await world.simulator.fault({ provider: 'fynd', operation: 'renew', times: 1, status: 400, body: {} });
      expect(await renewNow()).toMatchObject({ status: 'suspect', last_error: 'refused_without_code' });
      expect(await spoken()).toEqual(['document ok', 'document not_performed']);
    });

    it('sends nothing in a second way when its lease has run out meanwhile', async () => {
      await world.simulator.settings('fynd', { dialects: ['library'] });
      await world.simulator.fault({
        provider: 'fynd',
        operation: 'renew',
        times: 1,
        hold_until_released: true,
      });
      const asking = renewNow();
      await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
      // Of the lease of 20 s less than the timeout of 10 s is left.
      world.clock.advance(11);
      await world.simulator.control('POST', 'release');
      await asking;
      // Half an attempt tells nothing of our registration: this connection tries again, and nobody else is stopped.
      expect(await world.sql(`select 1 from provider_states where status = 'misconfigured'`)).toEqual([]);
      await eventually(async () => (await row())['token_version'] === 2);
      expect(await spoken()).toEqual(['document dialect_refused', 'document dialect_refused', 'library ok']);
      expect(await row()).toMatchObject({ refusals: 0, consecutive_failures: 0 });
    });
  });

  it.each(['document', 'library'])('%s is the only way where it is configured', async (only) => {
    await start(only);
    await world.simulator.settings('fynd', { dialects: [only] });
    expect(await renewNow()).toMatchObject({ token_version: 2 });
    expect(await spoken()).toEqual([`${only} ok`]);

    await world.simulator.settings('fynd', { dialects: [only === 'library' ? 'document' : 'library'] });
    expect(await renewNow()).toMatchObject({
      token_version: 2,
      status: 'active',
      last_error: 'request_refused',
    });
    expect((await spoken()).slice(1)).toEqual([`${only} dialect_refused`]);
  });
});
