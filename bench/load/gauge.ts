import { createHistogram } from 'node:perf_hooks';
import { pid } from 'node:process';
import type { Load, LoadOrder } from './order.js';
import { type ProcessorTime, processorTimeOf } from './processor-time.js';

const NANOSECONDS = 1e6;
const STATUSES = 600;

interface Moment {
  /** Milliseconds. */
  readonly at: number;
  readonly generator: ProcessorTime;
  readonly server: ProcessorTime;
}

/** Counts answers and their times while it is open. */
export class Gauge {
  readonly #answers = new Uint32Array(STATUSES);
  readonly #times = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  #isOpen = false;
  #opened: Moment | undefined;

  constructor(private readonly order: LoadOrder) {}

  open(): void {
    this.#isOpen = true;
    this.#opened = this.#now();
  }

  /** Nothing was counted yet. */
  get isEmpty(): boolean {
    return this.#answers.every((count) => count === 0);
  }

  /** @param milliseconds that it took */
  note(status: number, milliseconds: number): void {
    if (!this.#isOpen) return;
    this.#answers[status] = (this.#answers[status] ?? 0) + 1;
    if (!this.order.isUntimed) this.#times.record(Math.max(1, Math.round(milliseconds * NANOSECONDS)));
  }

  /** What was counted since it was opened. */
  close(): Omit<Load, 'sent'> {
    this.#isOpen = false;
    const now = this.#now();
    const { at, generator, server } = this.#opened ?? now;
    const seconds = (now.at - at) / 1_000;
    const counted = [...this.#answers.entries()].filter(([, count]) => count > 0);
    const total = counted.reduce((sum, [, count]) => sum + count, 0);
    const percentile = (which: number): number =>
      this.#times.count > 0 ? this.#times.percentile(which) / NANOSECONDS : 0;
    return {
      answers: Object.fromEntries(counted),
      perSecond: total / seconds,
      latency: { p50: percentile(50), p99: percentile(99), p999: percentile(99.9) },
      cores: {
        generator: (now.generator.ran - generator.ran) / seconds,
        server: (now.server.ran - server.ran) / seconds,
      },
      busy: {
        generator: (now.generator.busy - generator.busy) / seconds,
        server: (now.server.busy - server.busy) / seconds,
      },
    };
  }

  #now(): Moment {
    const { serverPid = NaN } = this.order;
    return {
      at: performance.now(),
      generator: processorTimeOf(pid),
      server: processorTimeOf(serverPid),
    };
  }
}
