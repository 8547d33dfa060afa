import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { escapeIdentifier } from 'pg';
import { ConnectionBudget } from '../../src/database/connection-budget.js';
import { eventually } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

describe('the connections of a replica', () => {
  const world = useWorld();
  let database: string;

  beforeAll(() => {
    database = escapeIdentifier(new URL(world.databaseUrl).pathname.slice(1));
  });
  afterEach(() => world.sql(`alter database ${database} connection limit -1`));

  /** What a replica that is started says of them: by itself a second later, or when it is asked to. */
  async function told(
    changes: Record<string, string> = {},
    isAsked = true,
  ): Promise<{ broker: LocalBroker['broker']; lines: unknown[] }> {
    const { broker } = await world.local(changes);
    const from = world.logs.length;
    if (isAsked) await broker.app.get(ConnectionBudget).tell();
    const said = (): string[] =>
      world.logs.slice(from).filter((line) => line.includes('"context":"Connections"'));
    await eventually(() => said().length > 0);
    const lines = said();
    return {
      broker,
      lines: lines.map((line) => {
        const { level, message } = JSON.parse(line) as Record<string, unknown>;
        return `${String(level)}: ${String(message)}`;
      }),
    };
  }

  const limit = (connections: number): Promise<unknown> =>
    world.sql(`alter database ${database} connection limit ${connections}`);

  it('are told at its start, and how many such replicas fit', async () => {
    const { broker, lines } = await told({}, false);
    await broker.stop();
    expect(lines[0]).toMatch(/^(info|log): up to 14: \d+ such replicas fit under max_connections \(\d+\)$/);
    await limit(30);
    const next = await told({ DATABASE_POOL: '5' });
    await next.broker.stop();
    expect(next.lines).toEqual([
      expect.stringMatching(
        /: up to 9: 3 such replicas fit under the connection limit of the database \(30\)$/,
      ),
    ]);
  });

  it('are a warning where it may need more than there are', async () => {
    await limit(13);
    const { broker, lines } = await told();
    await broker.stop();
    expect(lines.slice(1)).toEqual([
      'warn: this replica alone may need 14, and the connection limit of the database leaves 13: lower DATABASE_POOL',
    ]);
  });

  it('are a warning where there are not enough for it and the others, whatever those have open now', async () => {
    await limit(27);
    const first = await told({}, false);
    expect(first.lines).toHaveLength(1);
    const second = await told();
    await second.broker.stop();
    await first.broker.stop();
    expect(second.lines.slice(1)).toEqual([
      'warn: with 14 of the others, 28 may be needed, and the connection limit of the database leaves 27: lower DATABASE_POOL',
    ]);
  });

  it('are for a pooler to share out, where there is one', async () => {
    const { broker, lines } = await told({
      DATABASE_NAMED_STATEMENTS: 'off',
      DATABASE_NOTIFICATIONS: 'off',
      PUBLIC_PORT: 'off',
    });
    await broker.stop();
    expect(lines).toEqual([expect.stringMatching(/: up to 10 to the pooler and 0 to PostgreSQL; /)]);
  });

  it('are waited for 3 s where all are in use; then callers are told to come again', async () => {
    const local = await world.local({ DATABASE_POOL: '2' });
    const companies = ['42', '43', '44'] as const;
    for (const company of companies) await world.keepKonnect(local, company);
    const fetchToken = (company: (typeof companies)[number]): ReturnType<typeof world.api> =>
      world.api(local, 'GET', `/v1/tokens/konnect/companies/${company}`);
    await world.sql('begin; lock table connections in access exclusive mode');
    const held = [fetchToken('42'), fetchToken('43')];
    try {
      await eventually(async () => {
        const [waiting] = await world.sql<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and application_name = 'token-broker'`,
        );
        return (waiting?.n ?? 0) >= 2;
      });
      const since = performance.now();
      const { status, headers, body } = await fetchToken('44');
      const waitedMs = performance.now() - since;
      expect([status, body['code'], headers.get('retry-after')]).toEqual([503, 'store_unavailable', '5']);
      expect(waitedMs).toBeGreaterThan(2_500);
      expect(waitedMs).toBeLessThan(6_000);
    } finally {
      await world.sql('rollback');
    }
    for (const { status } of await Promise.all(held)) expect(status).toBe(200);
  });
});
