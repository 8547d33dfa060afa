import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { appendFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import type { Entry } from './entry.js';
import type { Settled } from './keeping.js';

export type Counts = Record<Settled['kind'], number>;

/** How far a run has come, as it lies on disk. */
interface Progress {
  /** What is imported, and where to: of anything else this says nothing. */
  readonly of: string;
  /** Entries that are settled, all of them, from the first. */
  readonly settled: number;
  readonly counts: Counts;
  /** Bytes of the report that belong to them. */
  readonly reported: number;
}

const NOTHING: Counts = { kept: 0, replaced: 0, unchanged: 0, left: 0, failed: 0 };

/**
 * Two files: how far the run has come, so that one that was killed goes on there, and what failed. Neither holds a
 * secret. Entries settle in any order and are written down in theirs.
 */
export class Notes {
  readonly #waiting = new Map<number, { entry: Entry; settled: Settled }>();
  #unwritten = '';
  #counts: Counts = { ...NOTHING };
  #settled = 0;
  #reported = 0;
  #write: Promise<void> = Promise.resolve();

  private constructor(
    private readonly of: string,
    private readonly progressFile: string,
    readonly reportFile: string,
  ) {}

  /** Takes up what an earlier run of the same has left, or begins anew. */
  static async open(of: string, files: { progress: string; report: string }): Promise<Notes> {
    const notes = new Notes(of, files.progress, files.report);
    const former = await readFile(files.progress, 'utf8').then(
      (text) => JSON.parse(text) as Progress,
      () => undefined,
    );
    if (former?.of === of) {
      notes.#settled = former.settled;
      notes.#counts = { ...NOTHING, ...former.counts };
      notes.#reported = former.reported;
      if (former.reported > 0) await truncate(files.report, former.reported);
      else await rm(files.report, { force: true });
    } else await rm(files.report, { force: true });
    return notes;
  }

  /** Entries that need not be looked at. */
  get settled(): number {
    return this.#settled;
  }

  get counts(): Readonly<Counts> {
    return this.#counts;
  }

  /** @param index of the entry, from 0 */
  settle(index: number, entry: Entry, settled: Settled): void {
    this.#waiting.set(index, { entry, settled });
    for (let next; (next = this.#waiting.get(this.#settled)); this.#settled += 1) {
      this.#waiting.delete(this.#settled);
      this.#counts[next.settled.kind] += 1;
      if (next.settled.kind === 'failed') this.#unwritten += lineOf(next.entry, next.settled);
    }
  }

  /** Writes down what has settled. */
  save(): Promise<void> {
    return (this.#write = this.#write.then(() => this.#save()));
  }

  /** The run is over: another one begins anew, and finds what is there. */
  async finish(): Promise<void> {
    await this.save();
    await rm(this.progressFile, { force: true });
  }

  async #save(): Promise<void> {
    const [settled, counts, lines] = [this.#settled, { ...this.#counts }, this.#unwritten];
    this.#unwritten = '';
    if (lines !== '') await appendFile(this.reportFile, lines, { mode: 0o600 });
    this.#reported += Buffer.byteLength(lines);
    const progress: Progress = { of: this.of, settled, counts, reported: this.#reported };
    await writeFile(`${this.progressFile}.new`, JSON.stringify(progress), { mode: 0o600 });
    await rename(`${this.progressFile}.new`, this.progressFile);
  }
}

function lineOf(entry: Entry, { code, detail }: Settled & { kind: 'failed' }): string {
  const { line, companyId, locationId } = entry;
  return `${JSON.stringify({ line, company_id: companyId, location_id: locationId, code, detail })}\n`;
}

/** Tells files apart by their content. */
export async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export function digestOf(...texts: readonly (string | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex');
}
