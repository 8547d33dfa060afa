import { beforeAll, describe, expect, it } from '@jest/globals';
import { useWorld, type LocalBroker } from '../support/world.js';

const COMPANIES = ['1', '2', '3', '4', '5', '6'];

describe('a provider that answers for one company as if it did not know us', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    world.stopTicking(broker);
  });

  it.each([
    ['is gone', { status: 404, content: 'html' }, 'endpoint_gone'],
    ['refuses the client', { status: 401, body: { error: 'unauthorized_client' } }, 'client_refused'],
  ])('(%s) is asked for all others as ever', async (_, answer, code) => {
    await world.sql('truncate connections, provider_states, audit_events');
    for (const company of COMPANIES) await world.install(broker, company);
    await world.sql(`update connections set renew_at = broker_now() where company_id = '1'`);
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', company_id: '1', ...answer });
    const asked = async (): Promise<number> =>
      (await world.simulator.ledger('?operation=renew&company_id=1')).entries.length;
    const pass = async (minutes: number): Promise<void> => {
      for (let minute = 0; minute < minutes; minute += 1) {
        await world.advance(60);
        await world.settle(broker);
      }
    };
    // By then others were due, and one of them was the probe that worked.
    await pass(60);
    const askedAtFirst = await asked();
    await pass(30);
    // From one refusal nobody can tell; the next one is the company's own.
    expect(await world.sql(`select 1 from audit_events where reason = 'misconfigured'`)).toHaveLength(1);
    const others = await world.sql<{ late: boolean; version: number }>(
      `select renew_at < broker_now() as late, token_version as version from connections where company_id <> '1'`,
    );
    expect(others.filter(({ late, version }) => late || version < 2)).toEqual([]);
    const [own] = await world.sql(`select status, last_error from connections where company_id = '1'`);
    expect(own).toEqual({ status: 'active', last_error: code });
    // In two shapes each time, and more and more seldom.
    expect((await asked()) - askedAtFirst).toBeLessThanOrEqual(6);
  });
});
