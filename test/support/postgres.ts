import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';

/** A database of its own for one test file: the broker's tables, empty. */
export interface TestDatabase {
  readonly url: string;
  /** Also ends the connections that are still open. */
  drop(): Promise<void>;
}

/** Any number: test files that copy the template at the same time wait for each other, as PostgreSQL would refuse one. */
const TEMPLATE_LOCK = 7_210_311;

/** Copies the template that the global setup has made. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  const url = new URL(serverUrl());
  url.pathname = name;
  await withClient(serverUrl(), async (client) => {
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    // Its files are copied: to write all of it to the log, as is usual, takes PostgreSQL three times as long.
    await client.query(
      `create database ${escapeIdentifier(name)} template broker_template strategy file_copy`,
    );
  });
  return {
    url: url.href,
    drop: () =>
      withClient(serverUrl(), async (client) => {
        await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`);
      }),
  };
}

/** Every row of every table as text, to search for what must not be there. */
export async function dumpAsText(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const tables = await client.query<{ schema: string; name: string }>(
      `select schemaname as schema, tablename as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2`,
    );
    const rows: string[] = [];
    for (const { schema, name } of tables.rows) {
      const table = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
      const found = await client.query<{ row: string }>(`select t::text as row from ${table} t`);
      for (const { row } of found.rows) rows.push(row);
    }
    return rows;
  });
}

function serverUrl(): string {
  const url = process.env.TEST_POSTGRES_URL;
  if (!url) throw new Error('TEST_POSTGRES_URL is set by test/support/global-setup.ts: run this under jest.');
  return url;
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
