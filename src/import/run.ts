import { BrokerAway, Stopped } from './broker-api.js';
import type { Entry, Source } from './entry.js';
import { Pointless, type Keeping } from './keeping.js';
import type { Meter } from './meter.js';
import type { Notes } from './notes.js';

/** How often it is written down how far a run has come, in milliseconds. */
const SAVE_EVERY_MS = 1_000;

/** What an import is made of. */
export interface Run {
  readonly source: Source;
  readonly keeping: Keeping;
  readonly notes: Notes;
  readonly meter: Meter;
  /** Entries that are under way at the same time. */
  readonly atOnce: number;
}

/**
 * Has the broker keep entry by entry, from where the notes say. Resolves with why it ended before the last; undefined
 * where it did not. What was begun is ended and written down in any case.
 */
export async function runImport({ source, keeping, notes, meter, atOnce }: Run): Promise<string | undefined> {
  const entries = entriesOf(source, notes.settled);
  let why: string | undefined;
  const worker = async (): Promise<void> => {
    while (why === undefined) {
      const next = await entries.next();
      if (next.done) return;
      const [index, entry] = next.value;
      try {
        notes.settle(index, entry, await keeping.keep(entry));
        meter.show(notes.settled, notes.counts);
      } catch (error) {
        why ??= reasonOf(error);
      }
    }
  };
  const saving = setInterval(() => void notes.save(), SAVE_EVERY_MS);
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
  } finally {
    clearInterval(saving);
    meter.stop();
    await (why === undefined ? notes.finish() : notes.save());
  }
  return why;
}

async function* entriesOf(source: Source, settled: number): AsyncGenerator<[index: number, Entry]> {
  let index = 0;
  for await (const found of source()) {
    if (found.kind !== 'entry') continue;
    if (index >= settled) yield [index, found.entry];
    index += 1;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Stopped) return 'stopped';
  if (error instanceof BrokerAway || error instanceof Pointless) return error.message.replace(/\.$/, '');
  throw error;
}
