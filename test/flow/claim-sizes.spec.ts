import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Crowd } from '../support/crowd.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

const DUE = 60;

/** Leaves a row for each statement that takes leases, of how many it took. */
const WATCH_CLAIMS = `
  create table claims_seen (leases bigint);
  create function see_claim() returns trigger language plpgsql as $$
    begin
      insert into claims_seen select count(*) from changed where lease_owner is not null having count(*) > 0;
      return null;
    end $$;
  create trigger see_claim after update on connections
    referencing new table as changed for each statement execute function see_claim()`;

describe('a claim', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const crowd = new Crowd(world, () => broker);
  let broker: LocalBroker;

  beforeAll(async () => {
    const file = join(folder, 'providers.yaml');
    writeFileSync(
      file,
      `providers:
  fynd: { kind: fynd-platform, base_url: '\${FYND_BASE_URL}', api_key: '\${FYND_API_KEY}', api_secret: '\${FYND_API_SECRET}',
          scopes: [company/products], renewal: document, rotation: none, rate: 100/s, concurrency: 40 }
`,
    );
    broker = await world.local({ PROVIDERS_FILE: file });
    await world.sql(WATCH_CLAIMS);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('takes several where only the rate limits it, however soon each call is over', async () => {
    await crowd.openWindow('fynd', 40);
    await crowd.ofFynd(DUE, { provider: 'fynd' });
    const renewed = (): Promise<unknown[]> => world.sql('select 1 from connections where token_version > 1');
    await eventually(async () => (await renewed()).length === DUE);
    const claims = await world.sql<{ leases: string }>('select leases from claims_seen');
    const taken = claims.reduce((sum, { leases }) => sum + Number(leases), 0);
    expect(taken).toBe(DUE);
    expect(claims.length).toBeLessThanOrEqual(DUE / 3);
  });
});
