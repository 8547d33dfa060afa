import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { ask, eventually, freePort, type Answer } from '../support/http.js';
import { PgBouncer } from '../support/pgbouncer.js';
import { createTestDatabase } from '../support/postgres.js';
import { Replica } from '../support/replica.js';
import { useWorld } from '../support/world.js';

const POOL_SIZE = 5;
const COMPANIES = Array.from({ length: 40 }, (_, index) => String(index + 1));
/** What is changed at one replica is known to the other within this, in milliseconds. */
const KNOWN_WITHIN_MS = 250;

const world = useWorld();
let pgbouncer: PgBouncer;

beforeAll(async () => {
  pgbouncer = await PgBouncer.start(world.databaseUrl, POOL_SIZE);
  await world.sql(
    `do $$ begin execute format('alter database %I set statement_timeout = ''10s''', current_database()); end $$`,
  );
});
afterAll(async () => pgbouncer?.stop());

const PAST = (): Record<string, string> => ({ DATABASE_DIRECT_URL: world.databaseUrl });
const UNHEARD = (): Record<string, string> => ({ DATABASE_NOTIFICATIONS: 'off' });
/** As whoever overlooks that this leads through the pooler, too. */
const DEAF = (): Record<string, string> => ({ DATABASE_DIRECT_URL: pgbouncer.leadsTo(world.databaseUrl) });

function behind(more: Record<string, string>): Record<string, string> {
  return { DATABASE_URL: pgbouncer.leadsTo(world.databaseUrl), DATABASE_NAMED_STATEMENTS: 'off', ...more };
}

describe.each([
  ['who listen past it', PAST],
  ['who do not listen', UNHEARD],
  ['who listen to no purpose', DEAF],
])('behind PgBouncer in transaction mode, two replicas %s', (_, more) => {
  let replicas: Replica[];
  let first: Replica;
  let second: Replica;

  beforeAll(async () => {
    await world.sql('truncate connections, provider_states');
    const start = async (): Promise<Replica> => {
      const PUBLIC_PORT = String(await freePort());
      return world.replica({ ...behind(more()), PUBLIC_PORT, PUBLIC_URL: `http://127.0.0.1:${PUBLIC_PORT}` });
    };
    replicas = [await start(), await start()];
    [first, second] = replicas as [Replica, Replica];
    for (const company of COMPANIES) await world.keepKonnect(first, company);
  });
  afterAll(async () => {
    for (const replica of replicas) await replica.stop();
  });

  const fetchToken = (from: Replica, company: string, provider = 'konnect'): Promise<Answer> =>
    world.api(from, 'GET', `/v1/tokens/${provider}/companies/${company}`);

  /** Milliseconds from the answer to a change until it is known elsewhere. */
  async function lag(isKnown: () => Promise<boolean>): Promise<number> {
    const since = performance.now();
    await eventually(isKnown);
    return performance.now() - since;
  }

  it('let a seller install, and serve the token', async () => {
    await world.install(first, '42');
    for (const replica of replicas) {
      expect(await fetchToken(replica, '42', 'fynd')).toMatchObject({ status: 200, body: { version: 1 } });
    }
  });

  it('answer 200 reads at once', async () => {
    const reads = Array.from({ length: 200 }, (_, index) =>
      fetchToken(replicas[index % 2] as Replica, COMPANIES[index % COMPANIES.length] ?? ''),
    );
    const statuses = (await Promise.all(reads)).map(({ status, text }) => (status === 200 ? 200 : text));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('renew what is due, each once', async () => {
    await world.simulator.control('POST', 'reset');
    await world.advance(3_000);
    await eventually(async () => {
      const [left] = await world.sql<{ n: number }>(
        `select count(*)::int as n from connections where provider = 'konnect' and token_version < 2`,
      );
      return left?.n === 0;
    });
    const { entries } = await world.simulator.ledger('?provider=konnect&operation=token&limit=200');
    expect(entries).toHaveLength(COMPANIES.length);
  });

  it('share one renewal of a token that is reported to both', async () => {
    await world.advance(60);
    await world.simulator.fault({ provider: 'konnect', operation: 'token', delay_ms: 300 });
    const { version } = (await fetchToken(first, '2')).body as { version: number };
    const path = '/v1/tokens/konnect/companies/2/report';
    const reports = replicas.map((it) => world.api(it, 'POST', path, { version, status: 401 }));
    for (const { body } of await Promise.all(reports)) expect(body).toMatchObject({ version: version + 1 });
  });

  it(`know of a revocation within ${KNOWN_WITHIN_MS} ms`, async () => {
    const list = await world.api(first, 'GET', '/v1/connections?provider=konnect&company_id=7');
    const [{ id }] = list.body['items'] as [{ id: string }];
    for (let again = 0; again < 20; again += 1) expect((await fetchToken(second, '7')).status).toBe(200);
    expect((await world.api(first, 'DELETE', `/v1/connections/${id}`)).status).toBe(200);
    expect(await lag(async () => (await fetchToken(second, '7')).status === 410)).toBeLessThan(
      KNOWN_WITHIN_MS,
    );
  });

  it(`know of a client that is gone within ${KNOWN_WITHIN_MS} ms`, async () => {
    const { id, key } = await world.client(first, 'token:read konnect/companies/8');
    const status = async (): Promise<number> =>
      (await world.api(second, 'GET', '/v1/tokens/konnect/companies/8', undefined, key)).status;
    for (let again = 0; again < 20; again += 1) expect(await status()).toBe(200);
    expect((await world.api(first, 'DELETE', `/v1/clients/${id}`)).status).toBe(204);
    expect(await lag(async () => (await status()) === 401)).toBeLessThan(KNOWN_WITHIN_MS);
  });

  it('have nothing to complain of but what does not hear, and that once', () => {
    for (const { output } of replicas) {
      const complaints = output
        .split('\n')
        .filter((line) => /"level":"(warn|error)"/.test(line) && !line.includes('"context":"Renewal"'));
      expect(complaints.filter((line) => !line.includes('no notifications'))).toEqual([]);
      expect(complaints).toHaveLength(more === DEAF ? 1 : 0);
    }
  });
});

describe('behind PgBouncer in transaction mode, a replica', () => {
  beforeEach(async () => {
    await world.simulator.control('POST', 'reset');
  });

  it('that is not told so does not start, and says what to set', async () => {
    const { code, output } = await Replica.runToEnd(
      world.environment({ DATABASE_URL: pgbouncer.leadsTo(world.databaseUrl) }),
    );
    expect([code, output]).toEqual([
      78,
      expect.stringMatching(
        /^token-broker: DATABASE_URL leads to a pooler.*DATABASE_NAMED_STATEMENTS=off.*\n$/m,
      ),
    ]);
  });

  it('that names its statements does not start, since the names of one connection are met by the next', async () => {
    const { code, output } = await Replica.runToEnd(
      world.environment({ ...behind(PAST()), DATABASE_NAMED_STATEMENTS: undefined }),
    );
    expect([code, output]).toEqual([
      78,
      expect.stringMatching(/^token-broker: .*mixes up named statements.*DATABASE_NAMED_STATEMENTS=off.*$/m),
    ]);
  });

  it('and two more that start at once migrate an empty database through it, each step once', async () => {
    const empty = await createTestDatabase();
    // As few as one of them needs: those who wait for it must not take any.
    const narrow = await PgBouncer.start(empty.url, 2);
    const client = new Client({ connectionString: empty.url });
    await client.connect();
    try {
      // But for the weeks of the audit trail, which come as they go.
      const tables = `select tablename from pg_tables
        where schemaname = 'public' and tablename !~ '_[0-9]{8}$' order by 1`;
      const expected = (await client.query(tables)).rows;
      await client.query(`drop schema public cascade; create schema public`);
      const started = await Promise.all(
        [1, 2, 3].map(() => world.replica(behind({ ...UNHEARD(), DATABASE_URL: narrow.leadsTo(empty.url) }))),
      );
      expect((await client.query(tables)).rows).toEqual(expected);
      for (const { api, output } of started) {
        expect((await ask('GET', `${api}/health/ready`)).status).toBe(200);
        expect(output).toMatch(/alter role \S+ set statement_timeout/);
      }
      for (const replica of started) await replica.stop();
    } finally {
      await narrow.stop();
      await client.end();
      await empty.drop();
    }
  });
});
