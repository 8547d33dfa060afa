import { SurroundingsError } from './surroundings-error.js';

const WAYS_OUT: readonly [symptom: RegExp, wayOut: string][] = [
  [/No space left on device|Disk quota exceeded/, 'free some disk space and start again'],
  [/Read-only file system|Permission denied/, 'set DATA_DIR to a folder that you may write to'],
  [/Address already in use|Cannot assign requested address/, 'free that port and start again'],
  [/could not resize shared memory|could not map anonymous shared memory/, 'give the machine more memory'],
];

/** The one line for a start that PostgreSQL refused, from what it wrote last. */
export function explain(written: string, dataFolder: string): SurroundingsError {
  const lines = written.split('\n').filter((line) => line.trim() !== '');
  for (const [symptom, wayOut] of WAYS_OUT) {
    const told = lines.find((line) => symptom.test(line));
    if (told) return refused(dataFolder, told, wayOut);
  }
  // PostgreSQL closes with hints and farewells: the line that tells is the last one that complains.
  const told = lines.findLast((line) => COMPLAINT.test(line) && !TOO_EARLY.test(line)) ?? lines.at(-1);
  const wayOut = `see ${dataFolder}/postgres.log, or set DATABASE_URL to a PostgreSQL 15 or newer`;
  return refused(dataFolder, told ?? 'it wrote nothing', wayOut);
}

const COMPLAINT = /\b(FATAL|PANIC|ERROR|error):/;
/** What our own questions draw from a PostgreSQL that is still starting or already stopping. */
const TOO_EARLY = /the database system is (starting up|not yet accepting|shutting down|in recovery)/;

function refused(dataFolder: string, told: string, wayOut: string): SurroundingsError {
  const reason = told.replace(/^.*?\b(LOG|WARNING|FATAL|PANIC|ERROR|error):\s*/, '').trim();
  return new SurroundingsError(
    `The embedded PostgreSQL in ${dataFolder} did not start (${reason}): ${wayOut}.`,
  );
}
