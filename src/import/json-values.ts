import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Line } from './entry.js';

/** A value of a file, under its key where it has one; undefined where it is no JSON. */
export interface JsonValue {
  readonly line: Line;
  readonly key: string | null;
  readonly value: unknown;
}

/** What is one JSON document is read whole; more than this has to come as JSON Lines. */
const MOST_BYTES = 256 * 1024 * 1024;

/** A document that is too large to be read whole. */
export class TooLarge extends Error {}

/**
 * The values of JSON Lines (each `{ "key", "value" }`, or the value alone), of an object of keys and values, or of a list.
 * A value may be the text of its JSON, as a store has it. In a document that is read whole, an entry's number stands for its
 * line.
 */
export async function* readJsonValues(file: string): AsyncIterable<JsonValue> {
  const document = await readDocument(file);
  yield* document === undefined ? readLines(file) : valuesOf(document);
}

/** The one document that the file is; undefined where each line is one. Throws TooLarge. */
async function readDocument(file: string): Promise<object | undefined> {
  const [first = '', second] = await firstLines(file);
  const isOne = parse(first) !== undefined;
  if (isOne && second !== undefined) return undefined;
  // Broken lines begin as a document does that is written over several.
  if (!isOne && !/^\s*[[{]/.test(first)) return undefined;
  if ((await stat(file)).size > MOST_BYTES) throw new TooLarge();
  const whole = parse(await readFile(file, 'utf8'));
  const isDocument = Array.isArray(whole) || (isObject(whole) && isOfValues(whole));
  return isDocument ? (whole as object) : undefined;
}

async function firstLines(file: string): Promise<string[]> {
  const found: string[] = [];
  for await (const text of linesOf(file)) {
    if (text.trim() !== '') found.push(text);
    if (found.length === 2) break;
  }
  return found;
}

/** Keys and values, and not one line that is the only one. */
function isOfValues(whole: Record<string, unknown>): boolean {
  return Object.values(whole).every((value) => isObject(unpacked(value)));
}

async function* readLines(file: string): AsyncIterable<JsonValue> {
  let line = 0;
  for await (const text of linesOf(file)) {
    line += 1;
    if (text.trim() === '') continue;
    const whole = unpacked(parse(text));
    const isPair = isObject(whole) && typeof whole['key'] === 'string' && 'value' in whole;
    yield isPair
      ? { line, key: whole['key'] as string, value: unpacked(whole['value']) }
      : { line, key: null, value: whole };
  }
}

function* valuesOf(document: object): Iterable<JsonValue> {
  const isList = Array.isArray(document);
  let line = 0;
  for (const [key, value] of Object.entries(document) as [string, unknown][])
    yield { line: (line += 1), key: isList ? null : key, value: unpacked(value) };
}

function linesOf(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file), crlfDelay: Infinity });
}

/** The value of a text that is JSON once more; anything else as it is. */
function unpacked(value: unknown): unknown {
  return typeof value === 'string' ? parse(value) : value;
}

/** The parser's own words would quote what it read, which may be a token. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
