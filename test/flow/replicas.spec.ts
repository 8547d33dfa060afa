import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, type Answer, type Json } from '../support/http.js';
import type { Replica } from '../support/replica.js';
import { useWorld } from '../support/world.js';

/** A lease is twice the timeout: 2 s, so that a test can see one run out. */
const PROVIDERS = `
providers:
  fynd:
    kind: fynd-platform
    base_url: \${FYND_BASE_URL}
    api_key: \${FYND_API_KEY}
    api_secret: \${FYND_API_SECRET}
    scopes: \${FYND_SCOPES}
    rotation: none
    timeout: 1s
`;

/** Sellers who install at the same time. */
const AT_ONCE = 20;

describe('three replicas', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const extra: Record<string, string> = { PROVIDERS_FILE: join(folder, 'providers.yaml') };
  let replicas: Replica[];

  beforeAll(async () => {
    writeFileSync(join(folder, 'providers.yaml'), PROVIDERS);
    replicas = await Promise.all([1, 2, 3].map(() => replica()));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await world.sql('truncate connections, provider_states');
  });

  const replica = (): Promise<Replica> => world.replica(extra);

  function any(index = 0): Replica {
    const found = replicas[index];
    if (!found) throw new Error('there is no such replica');
    return found;
  }

  /** Through a broker in this process: the replicas do not know an address that a browser could come back to. */
  async function install(...companies: string[]): Promise<void> {
    const local = await world.local(extra);
    for (let from = 0; from < companies.length; from += AT_ONCE) {
      const some = companies.slice(from, from + AT_ONCE);
      await Promise.all(some.map((companyId) => world.install(local, companyId)));
    }
    await local.broker.stop();
  }

  async function row(companyId = '42'): Promise<Json> {
    const [found] = await world.sql<Json>('select * from connections where company_id = $1', [companyId]);
    return found ?? {};
  }

  /** Makes this replica, and no other, renew: the token is not due yet, but too short for its caller. */
  async function holdRenewalOf(holder: Replica): Promise<{ reading: Promise<Answer> }> {
    await world.simulator.fault({
      provider: 'fynd',
      operation: 'renew',
      times: 1,
      hold_until_released: true,
    });
    await world.advance(700);
    const reading = fetchToken(holder, '42', '?min_ttl=3000');
    reading.catch(() => undefined);
    await eventually(async () => (await world.simulator.ledger()).counters['held'] === 1);
    return { reading };
  }

  const fetchToken = (from: Replica, companyId: string, query = ''): Promise<Answer> =>
    world.api(from, 'GET', `/v1/tokens/fynd/companies/${companyId}${query}`);
  const renewals = async (): Promise<unknown> => (await world.simulator.ledger()).counters['renewals'];

  it('renew each of 60 due connections once', async () => {
    const companies = Array.from({ length: 60 }, (_, index) => String(index + 1));
    await install(...companies);
    await world.simulator.fault({ provider: 'fynd', operation: 'renew', delay_ms: 100 });
    await world.advance(3_601);
    await eventually(async () => {
      const [left] = await world.sql<Json>(
        'select count(*)::int as n from connections where token_version < 2',
      );
      return left?.['n'] === 0;
    });
    const { entries } = await world.simulator.ledger('?operation=renew');
    expect(entries).toHaveLength(60);
    expect(new Set(entries.map(({ company_id }) => company_id)).size).toBe(60);
  });

  it('write an answer all the same whose connections to the database were cut meanwhile', async () => {
    await install('42');
    const { reading } = await holdRenewalOf(any());
    const cut = (): Promise<unknown> =>
      world.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      );
    await cut();
    await world.simulator.control('POST', 'release');
    for (let again = 0; again < 5; again += 1) await cut();
    await eventually(async () => (await row())['token_version'] === 2);
    expect(await row()).toMatchObject({ status: 'active', lease_owner: null, unknown_outcome: null });
    expect(await renewals()).toBe(1);
    expect((await reading).body).toMatchObject({ version: 2 });
  });

  it('do not miss each other: one that was stopped beyond its lease overwrites and sends nothing', async () => {
    await install('42');
    const stopped = any();
    const { reading } = await holdRenewalOf(stopped);
    stopped.signal('SIGSTOP');
    // Another one finds the lease that has run out, and renews.
    await eventually(async () => (await row())['token_version'] === 2);
    const renewed = await row();
    await world.simulator.control('POST', 'release');
    stopped.signal('SIGCONT');
    expect((await reading).body).toMatchObject({ version: 2 });
    await eventually(() => /not kept, somebody else changed it meanwhile/.test(stopped.output));
    const after = await row();
    expect(after).toMatchObject({
      token_version: 2,
      status: 'active',
      last_error: null,
      consecutive_failures: 0,
    });
    expect([after['sealed_token'], after['sealed_grant']]).toEqual([
      renewed['sealed_token'],
      renewed['sealed_grant'],
    ]);
    expect(await renewals()).toBe(2);
  });

  it('end in order on SIGTERM: unready at once, but serving until the renewal in flight is kept', async () => {
    await install('42', '43');
    const leaving = await replica();
    const { reading } = await holdRenewalOf(leaving);
    leaving.signal('SIGTERM');
    await eventually(async () => (await fetch(`${leaving.api}/health/ready`)).status === 503);
    expect((await fetchToken(leaving, '43')).status).toBe(200);
    expect((await fetch(`${leaving.api}/health/live`)).status).toBe(200);
    await world.simulator.control('POST', 'release');
    expect((await reading).body).toMatchObject({ version: 2 });
    const { code } = await leaving.ended();
    expect(code).toBe(0);
    expect(await row()).toMatchObject({ token_version: 2, lease_owner: null, consecutive_failures: 0 });
    expect(await renewals()).toBe(1);
  });

  it('succeed one that was killed in the middle of a renewal, when its lease has run out', async () => {
    await install('42');
    const killed = await replica();
    const { reading } = await holdRenewalOf(killed);
    killed.signal('SIGKILL');
    await expect(reading).rejects.toThrow();
    expect(await row()).toMatchObject({ token_version: 1, lease_owner: expect.any(String) });
    // Who asks meanwhile is served with what there is.
    expect((await fetchToken(any(1), '42')).body).toMatchObject({ version: 1 });
    await eventually(async () => (await row())['token_version'] === 2);
    expect(await row()).toMatchObject({
      status: 'active',
      lease_owner: null,
      unknown_outcome: null,
      crashes: 0,
    });
    expect(await renewals()).toBe(2);
  });
});
