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

/** The records of a file with a header, one by one. After what is no CSV nothing is read. */
export async function* readCsvRows(file: string): AsyncIterable<CsvRow> {
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
        if (new Set(header).size < header.length) {
          yield { line, wrong: 'the header names a column twice' };
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
