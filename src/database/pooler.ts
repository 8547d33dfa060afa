import type { Logger } from '@nestjs/common';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { ConfigurationError } from '../config/mistakes.js';

const PROBE = { name: 'pooler_probe', text: 'select 1' };
/** What is prepared under this name is not there, or there already, though nobody here has prepared it. */
const MIXED_UP = /^(26000|42P05)$/;

/**
 * Throws a ConfigurationError where a name that one connection has given to a statement is met by another, or lost: a
 * pooler in transaction mode that does not keep names apart gives both the same session.
 */
export async function refuseLostNames(dataSource: DataSource): Promise<void> {
  const pool = (dataSource.driver as unknown as { master: Pool }).master;
  const clients = [await pool.connect(), await pool.connect()];
  const ignore = (): void => undefined;
  for (const client of clients) client.on('error', ignore);
  try {
    for (const client of [...clients, ...clients]) await client.query(PROBE);
  } catch (error) {
    if (!MIXED_UP.test((error as { code?: string }).code ?? '')) throw error;
    throw new ConfigurationError([
      'DATABASE_URL leads to a pooler that mixes up named statements: set DATABASE_NAMED_STATEMENTS=off, or let it keep them (docs/operations.md)',
    ]);
  } finally {
    for (const client of clients) client.release();
    for (const client of clients) client.off('error', ignore);
  }
}

/** Warns where a statement that nobody waits for any more would run on for ever. */
export async function tellOfNoTimeout(dataSource: DataSource, logger: Logger): Promise<void> {
  const [row] = await dataSource.query<{ timeout: string; role: string }[]>(
    `select current_setting('statement_timeout') as timeout, quote_ident(current_user) as role`,
  );
  if (row?.timeout !== '0') return;
  logger.warn(
    `no statement ends by itself behind this pooler: run alter role ${row.role} set statement_timeout = '10s'`,
  );
}
