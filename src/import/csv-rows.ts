import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import type { Line } from './entry.js';

/** A record under the names of the header, or what is wrong with it. */
export type CsvRow =
  | { readonly line: Line; readonly row: Readonly<Record<string, string>> }
  | { readonly line: Line; readonly wrong: string };

/** A quote that is never closed would take in the rest of the file. */
const LONGEST_RECORD = 64 * 1024;

/** What a header has to name, and what it may. */
export interface Columns {
  readonly known: readonly string[];
  readonly needed: readonly string[];
}

/** The records of a file with a header, one by one. After what is no CSV, or has another header, nothing is read. */
export async function* readCsvRows(file: string, columns: Columns): AsyncIterable<CsvRow> {
  const parser = parse({
    bom: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: LONGEST_RECORD,
  });
  let line = 0;
  let header: string[] | undefined;
  try {
    // Its errors are thrown by the loop.
    pipeline(createReadStream(file), parser, () => undefined);
    for await (const { record, info } of parser as AsyncIterable<{
      record: string[];
      info: { lines: number };
    }>) {
      line = info.lines;
      if (header === undefined) {
        header = record.map((name) => name.trim());
        const wrong = wrongIn(header, columns);
        if (wrong !== undefined) {
          yield { line, wrong };
          return;
        }
      } else if (record.length === header.length) {
        yield { line, row: Object.fromEntries(record.map((value, index) => [header?.[index] ?? '', value])) };
      } else {
        yield { line, wrong: `has ${record.length} fields, and the header ${header.length}` };
      }
    }
  } catch (error) {
    const { code, lines } = error as { code?: string; lines?: number };
    if (!code?.startsWith('CSV_')) throw error;
    yield { line: lines ?? line + 1, wrong: 'is no CSV: a quote is not closed, or stands within a value' };
  }
}

/** A header is quoted only where it looks like one: a file without any begins with values, and may hold a secret there. */
function wrongIn(header: readonly string[], { known, needed }: Columns): string | undefined {
  const expected = `a header with ${known.join(', ')} is expected`;
  if (!header.some((name) => known.includes(name))) return `names no column that is known: ${expected}`;
  if (new Set(header).size < header.length) return 'the header names a column twice';
  const unknown = header.filter((name) => !known.includes(name));
  if (unknown.length > 0) return `the header names ${unknown.map(shownName).join(', ')}: ${expected}`;
  const missing = needed.filter((name) => !header.includes(name));
  if (missing.length > 0) return `the header lacks ${missing.join(', ')}: ${expected}`;
  return undefined;
}

function shownName(name: string): string {
  return /^[A-Za-z][A-Za-z0-9_ -]{0,39}$/.test(name) ? `"${name}"` : 'a column that has no name';
}
