import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import type { Connection } from '../../src/token/connection.js';
import { ConnectionStore } from '../../src/token/connection.store.js';
import { TokenRenewer } from '../../src/token/token-renewer.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('those who want the same token', () => {
  const world = useWorld();
  let broker: LocalBroker;
  let renewer: TokenRenewer;

  beforeAll(async () => {
    broker = await world.local();
    renewer = broker.broker.app.get(TokenRenewer);
  });

  beforeEach(async () => {
    // For a minute the broker remembers what it wrote, and writes it again where it has lost sight of the database.
    await world.advance(61);
    await world.sql('truncate connections, provider_states');
  });

  async function connection(): Promise<Connection> {
    const subject = { provider: 'fynd', companyId: '42', locationId: null };
    const found = await broker.broker.app.get(ConnectionStore).findBySubject(subject);
    if (!found) throw new Error('there is no connection');
    return found;
  }

  const renewals = async (): Promise<unknown> => (await world.simulator.ledger()).counters['renewals'];

  it('ask for nothing where a newer one came after they had looked', async () => {
    await world.install(broker, '42');
    const old = await connection();
    await renewer.renew(old, old.tokenVersion, true);
    expect(await renewer.renew(old, old.tokenVersion)).toMatchObject({ tokenVersion: 2 });
    expect(await renewals()).toBe(1);
  });

  it('share one look at the database in their process, however many they are', async () => {
    await world.install(broker, '42');
    const row = await connection();
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      times: 1,
      hold_until_released: true,
    });
    const { master } = broker.broker.app.get(DataSource).driver as unknown as { master: Pool };
    let statements = 0;
    const count = (): void => void (statements += 1);
    master.on('acquire', count);
    const wanting = Array.from({ length: 500 }, () => renewer.renew(row, row.tokenVersion));
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    await world.simulator.control('POST', 'release');
    const versions = new Set((await Promise.all(wanting)).map((renewed) => renewed?.tokenVersion));
    master.off('acquire', count);
    expect([...versions]).toEqual([2]);
    // The schedule and whoever else looks meanwhile are among them.
    expect(statements).toBeLessThan(100);
    expect(await renewals()).toBe(1);
  });
});
