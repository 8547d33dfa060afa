import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { escapeIdentifier } from 'pg';
import { RenewalSchedule } from '../../src/token/renewal-schedule.js';
import { CommandLine } from '../support/command-line.js';
import { Crowd } from '../support/crowd.js';
import { eventually, type Json } from '../support/http.js';
import type { Ended } from '../support/replica.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('a database that was restored from a backup', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const extra: Record<string, string> = { PROVIDERS_FILE: join(folder, 'providers.yaml') };
  const crowd = new Crowd(world, () => sealer);
  let sealer: LocalBroker;

  beforeAll(async () => {
    const fynd = `kind: fynd-platform, api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}', renewal: document,
      scopes: [company/products]`;
    const port = new URL(world.simulator.url).port;
    writeFileSync(
      join(folder, 'providers.yaml'),
      `providers:
  fynd: { ${fynd}, rotation: none, base_url: 'http://127.0.0.1:${port}' }
  strict: { ${fynd}, rotation: strict, base_url: 'http://localhost:${port}' }
`,
    );
    sealer = await world.local(extra);
    await sealer.broker.app.get(RenewalSchedule).stop();
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The command as an operator runs it. */
  const afterRestore = (): Promise<Ended> =>
    CommandLine.run(['after-restore'], { DATABASE_URL: world.databaseUrl });

  const count = async (where: string): Promise<number> =>
    (await world.sql(`select 1 from connections where ${where}`)).length;
  const calls = async (): Promise<Json[]> => (await world.simulator.ledger('?operation=renew')).entries;

  it('has strict grants tried as late as their tokens allow, and what was spent ends alone; others are renewed as usual', async () => {
    await crowd.ofFynd(5, { provider: 'fynd', first: 1 });
    await crowd.ofFynd(7, { provider: 'strict', first: 101 });
    await world.sql(`update connections set status = 'reauthorization_required' where company_id = '5'`);
    // Spent after the backup was made, but for that of the last company.
    for (let companyId = 101; companyId <= 106; companyId += 1) {
      await world.simulator.fault({
        provider: 'fynd',
        operation: 'renew',
        company_id: String(companyId),
        status: 400,
        body: { error: 'invalid_grant' },
      });
    }
    const { code, output } = await afterRestore();
    expect([code, output]).toEqual([0, expect.stringMatching(/^11 grants/)]);

    const broker = await world.local(extra);
    // It has run for longer than a lease lasts: before, it leaves those of others alone.
    world.clock.advance(21);
    const settled = (look: () => Promise<boolean>): Promise<boolean> =>
      eventually(async () => {
        await world.settle(broker);
        return look();
      });
    await settled(async () => (await count(`provider = 'fynd' and token_version = 2`)) >= 4);
    // Put off as many at a time as the provider takes calls, which is one at first.
    await settled(
      async () =>
        (await count(`provider = 'strict' and unknown_outcome = 'crash' and status = 'active'`)) === 7,
    );
    expect((await calls()).filter(({ company_id }) => Number(company_id) > 100)).toEqual([]);
    const [soonest] = await world.sql<{ s: number }>(
      `select min(extract(epoch from expires_at - renew_at))::float8 as s from connections where provider = 'strict'`,
    );
    expect(soonest?.s).toBeGreaterThan(44);
    expect(soonest?.s).toBeLessThan(46);
    expect((await world.api(broker, 'GET', '/v1/tokens/strict/companies/101')).status).toBe(200);

    await world.advance(560);
    await settled(async () => (await count(`status_reason = 'lost_in_flight'`)) === 6);
    await settled(async () => (await count(`provider = 'strict' and token_version = 2`)) === 1);
    const { body } = await world.api(broker, 'GET', '/v1/providers');
    expect((body['items'] as Json[]).find(({ name }) => name === 'strict')).toMatchObject({
      paused_because: null,
      connections: { active: 1, reauthorization_required: 6 },
    });
  });

  it('is marked however long that takes, whatever limit its user has for the service', async () => {
    const name = escapeIdentifier(new URL(world.databaseUrl).pathname.slice(1));
    await world.sql(`
      alter database ${name} set statement_timeout = '1s';
      create function linger() returns trigger language plpgsql as
        $$ begin perform pg_sleep(1.3); return null; end $$;
      create trigger lingers before update on connections for each statement execute function linger()`);
    const { code, output } = await afterRestore();
    await world.sql(`drop trigger lingers on connections; alter database ${name} reset all`);
    expect([code, output]).toEqual([0, expect.stringMatching(/^\d+ grants/)]);
  });
});
