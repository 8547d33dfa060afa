import type { Logger } from '@nestjs/common';
import type { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';

/** What fails now and then is one series; it is over when nothing has failed for so long. Milliseconds. */
const CALM_MS = 60_000;

/** Says once that something fails, why it does for as long as it does, and once that it goes on. */
export class Failures {
  #last: { readonly why: string; readonly at: number } | undefined;

  constructor(
    private readonly what: string,
    private readonly logger: Logger,
    private readonly clock: Clock,
  ) {}

  /** Why it failed last; undefined where it does not fail. */
  get why(): string | undefined {
    return this.#last?.why;
  }

  failed(error: unknown): void {
    const why = `${this.what} fails: ${whyOf(error)}`;
    if (!this.#last) this.logger.error(`${why}; it is tried again`);
    this.#last = { why, at: this.clock.monotonic() };
  }

  worked(): void {
    if (!this.#last || this.clock.monotonic() - this.#last.at < CALM_MS) return;
    this.#last = undefined;
    this.logger.log(`${this.what} goes on`);
  }
}

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (!(error instanceof Problem) || typeof error.cause !== 'string') return error.message;
  if (error.cause === '57014') return 'the database took too long over a statement, or somebody ended it';
  return `the database cannot be used (${error.cause})`;
}
