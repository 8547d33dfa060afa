import type { Counts } from './notes.js';

/** Shows how far a run has come. */
export interface Meter {
  show(settled: number, counts: Readonly<Counts>): void;
  stop(): void;
}

/** A line of a run that nobody watches, in milliseconds. */
const EVERY_MS = 10_000;

/** A bar where somebody watches, else a line from time to time. */
export async function meterFor(total: number, out: NodeJS.WriteStream): Promise<Meter> {
  if (!out.isTTY) return new Lines(total, out);
  const { SingleBar } = await import('cli-progress');
  const bar = new SingleBar({
    format: '{bar} {value} of {total} · {words} · {eta_formatted} left',
    stream: out,
    hideCursor: true,
  });
  bar.start(total, 0, { words: '' });
  return {
    show: (settled, counts) => bar.update(settled, { words: inWords(counts) }),
    stop: () => bar.stop(),
  };
}

class Lines implements Meter {
  #toldAt = performance.now();

  constructor(
    private readonly total: number,
    private readonly out: NodeJS.WritableStream,
  ) {}

  show(settled: number, counts: Readonly<Counts>): void {
    if (performance.now() - this.#toldAt < EVERY_MS) return;
    this.#toldAt = performance.now();
    this.out.write(`${settled} of ${this.total}: ${inWords(counts)}\n`);
  }

  stop(): void {
    // Its last line stands already.
  }
}

/** `3 kept, 1 failed`; what there is none of is left out. */
export function inWords(counts: Readonly<Counts>): string {
  const words = Object.entries(counts).filter(([, count]) => count > 0);
  return words.map(([word, count]) => `${count} ${word}`).join(', ') || 'nothing yet';
}
