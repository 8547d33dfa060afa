import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Readable } from './readable.js';

const LOOKS_EVERY_MS = 20;

/** A server process counts what it did when it ends, at the latest. */
const OTHERS = `select count(*)::integer as number from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()`;
const SCANS = `select (coalesce(idx_scan, 0) + coalesce(seq_scan, 0))::double precision as number
               from pg_stat_user_tables where relname = 'connections'`;

/** How often connections were looked for in the database by whatever it was asked. Waits until nobody is connected. */
export async function countLookups({ surroundings }: Readable): Promise<number> {
  const client = new Client({ connectionString: surroundings.databaseUrl });
  await client.connect();
  const ask = async (question: string): Promise<number> =>
    (await client.query<{ number: number }>(question)).rows[0]?.number ?? NaN;
  while ((await ask(OTHERS)) > 0) await sleep(LOOKS_EVERY_MS);
  const lookups = await ask(SCANS);
  await client.end();
  return lookups;
}
