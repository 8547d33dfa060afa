import { COLUMNS, NEEDED, readCredential } from './credential.js';
import { readCsvRows } from './csv-rows.js';
import { mistake, type Found, type Source } from './entry.js';
import { readJsonValues } from './json-values.js';
import { readSession, type SessionFilter } from './session.js';
import { isSqlite, readSqliteValues } from './sqlite-values.js';

/** The session store of an extension on Fynd's library: its SQLite file itself, or what was exported as JSON. */
export function sessionsOf(file: string, filter: SessionFilter): Source {
  return async function* (): AsyncIterable<Found> {
    const values = (await isSqlite(file)) ? readSqliteValues(file) : readJsonValues(file);
    for await (const { line, key, value } of values)
      yield value === undefined ? mistake(line, 'is no JSON') : readSession(line, key, value, filter);
  };
}

/** A list of Konnect credentials: CSV with a header, or JSON with the same names. */
export function credentialsOf(file: string, verify: boolean): Source {
  return /\.jsonl?$/i.test(file) ? () => fromJson(file, verify) : () => fromCsv(file, verify);
}

async function* fromCsv(file: string, verify: boolean): AsyncIterable<Found> {
  for await (const found of readCsvRows(file, { known: COLUMNS, needed: NEEDED }))
    yield 'wrong' in found ? mistake(found.line, found.wrong) : readCredential(found.line, found.row, verify);
}

async function* fromJson(file: string, verify: boolean): AsyncIterable<Found> {
  for await (const { line, value } of readJsonValues(file)) {
    const isRow = typeof value === 'object' && value !== null && !Array.isArray(value);
    yield isRow
      ? readCredential(line, value as Record<string, unknown>, verify)
      : mistake(line, 'must be an object with company_id, username and password');
  }
}
