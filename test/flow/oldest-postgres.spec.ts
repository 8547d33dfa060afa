import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type EmbeddedPostgres, startPostgres } from '../../src/development/embedded-postgres.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** Its binaries are installed for this platform only. */
const describeHere = process.platform === 'linux' && process.arch === 'x64' ? describe : describe.skip;

describeHere('PostgreSQL 15, the oldest that is supported', () => {
  const world = useWorld();
  const dataDir = mkdtempSync(join(tmpdir(), 'token-broker-oldest-'));
  let postgres: EmbeddedPostgres | undefined;
  let broker: LocalBroker;

  beforeAll(async () => {
    postgres = await startPostgres({ dataDir, binaries: 'postgres-15', durable: false });
    broker = await world.local({ DATABASE_URL: postgres.url });
  });

  afterAll(async () => {
    await broker?.broker.stop();
    await postgres?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('takes the migrations and keeps, serves, renews and revokes', async () => {
    await world.install(broker, '15');
    await world.keepKonnect(broker, '15/locations/3');
    const first = await world.api(broker, 'GET', '/v1/tokens/fynd/companies/15');
    expect([first.status, first.body['version']]).toEqual([200, 1]);

    const reported = await world.api(broker, 'POST', '/v1/tokens/fynd/companies/15/report', {
      version: 1,
      status: 401,
    });
    expect([reported.status, reported.body['version']]).toEqual([200, 2]);

    const listed = await world.api(broker, 'GET', '/v1/connections');
    expect(listed.body['items']).toHaveLength(2);
    const revoked = await world.api(
      broker,
      'DELETE',
      `/v1/connections/${String(first.body['connection_id'])}`,
    );
    expect(revoked.status).toBe(200);
    expect((await world.api(broker, 'GET', '/v1/tokens/fynd/companies/15')).status).toBe(410);
  });
});
