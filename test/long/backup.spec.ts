import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { migrate } from '../../src/database/migrate.js';
import { startPostgres } from '../../src/development/embedded-postgres.js';
import { dump, dumpAsSql, restore } from '../support/dump.js';
import type { Batch } from '../support/faults/batch.js';
import { useFaultScene } from '../support/faults/scene.js';
import { eventually } from '../support/http.js';
import { findLeaks } from '../support/leaks.js';
import type { TestDatabase } from '../support/postgres.js';
import type { Replica } from '../support/replica.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const CONNECTIONS = 12;
/** Of them, those that are renewed after the backup was made. */
const SPENT = 6;
/** Part of a token's life after which its renewal is due in any case. */
const ALL_DUE = 0.85;
/** Seconds before a token expires at which a grant of unknown outcome is tried. */
const PROBED_BEFORE_S = 45;
const LIVES_S = 1_800;

describe('a database that is lost, and restored from a backup of before', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-backup-'));
  const file = join(folder, 'broker.dump');
  let url = '';
  /** Of the oldest version: the programs of any other can copy it. */
  const scene = useFaultScene({ database: makeDatabase });
  let batch: Batch;
  let replica: Replica;

  async function makeDatabase(): Promise<TestDatabase> {
    const server = await startPostgres({
      dataDir: folder,
      binaries: 'postgres-15',
      durable: false,
      maxConnections: 300,
    });
    url = server.url;
    await migrate({ url: () => url, ca: null });
    return {
      get url() {
        return url;
      },
      drop: () => server.stop(),
    };
  }

  const count = async (where: string): Promise<number> =>
    (await scene.world.sql(`select 1 from connections where id = any($1::uuid[]) and ${where}`, [batch.ids]))
      .length;

  beforeAll(async () => {
    await scene.rotate('strict');
    batch = await scene.batch('strict', CONNECTIONS, { livesS: LIVES_S });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('leaves no secret in the file of the backup', async () => {
    await dump(url, file);
    const text = await dumpAsSql(file);
    expect(text).toContain('COPY public.connections');
    const { body } = await batch.fetch(scene.survivor, batch.companies[0] ?? '');
    expect(findLeaks([text])).toEqual([]);
    expect(text).not.toContain(String(body['access_token']));
  });

  it('takes every grant to be of unknown outcome once it was told so', async () => {
    for (const id of batch.ids.slice(0, SPENT))
      expect((await scene.world.api(scene.survivor, 'POST', `/v1/connections/${id}/renew`)).status).toBe(200);
    await scene.survivor.stop();

    const restored = new URL(url);
    restored.pathname = 'restored';
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('create database restored');
    await restore(file, restored.href);
    // Whoever asks for the former one from here on is led to the new one.
    const former = new URL(url).pathname.slice(1);
    url = restored.href;
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()',
      [former],
    );
    await client.end();
    await eventually(() =>
      count(`token_version = 1`).then(
        (found) => found === CONNECTIONS,
        () => false,
      ),
    );

    const env = { PATH: process.env['PATH'], DATABASE_URL: url };
    const output = execFileSync(process.execPath, [CLI, 'after-restore'], { env, encoding: 'utf8' });
    expect(output).toMatch(new RegExp(`^${CONNECTIONS} grants`));
    expect(await count(`lease_owner = 'restored from a backup'`)).toBe(CONNECTIONS);
  });

  it('serves what was in hand, and asks the provider for nothing before it has to', async () => {
    const asked = (await batch.calls()).length;
    replica = await scene.replica({ DATABASE_URL: url });
    scene.survivor = replica;
    for (const company of batch.companies) expect((await batch.fetch(replica, company)).status).toBe(200);
    await scene.world.advance(LIVES_S * ALL_DUE);
    await eventually(
      async () => (await count(`unknown_outcome = 'crash' and status = 'active'`)) === CONNECTIONS,
    );
    expect(await batch.calls()).toHaveLength(asked);
  });

  it('finds out each grant by one call: what was spent since the backup ends, the others go on, and the provider is not stopped', async () => {
    const asked = (await batch.calls()).length;
    await scene.world.advance(LIVES_S * (1 - ALL_DUE) - PROBED_BEFORE_S + 1);
    await eventually(async () => (await count(`status_reason = 'lost_in_flight'`)) === SPENT);
    await eventually(
      async () => (await count(`status = 'active' and token_version = 2`)) === CONNECTIONS - SPENT,
    );
    expect((await batch.calls()).length - asked).toBe(CONNECTIONS);
    const { body } = await scene.world.api(replica, 'GET', '/v1/providers');
    const strict = (body['items'] as { name: string }[]).find(({ name }) => name === 'strict');
    expect(strict).toMatchObject({ paused_because: null });
  });
});
