import { open } from 'node:fs/promises';
import type { JsonValue } from './json-values.js';

const MAGIC = 'SQLite format 3\0';

/** Whether a file is a database of SQLite, by its first bytes. */
export async function isSqlite(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === MAGIC;
  } finally {
    await handle.close();
  }
}

/** What the library's SQLiteStorage keeps, read where it lies, and not written to. Throws where its table is not there. */
export async function* readSqliteValues(file: string): AsyncIterable<JsonValue> {
  // Not every Node that runs the rest has it.
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    let line = 0;
    for (const row of database.prepare('select key, value from storage order by key').iterate())
      yield { line: (line += 1), key: String(row['key']), value: parse(row['value']) };
  } finally {
    database.close();
  }
}

function parse(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}
