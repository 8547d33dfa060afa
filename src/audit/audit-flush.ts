import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clock } from '../shared/clock.js';
import { AuditBuffer } from './audit-buffer.js';
import { AuditStore } from './audit.store.js';

/** What is new is written within a second: that much may be lost with a process that is killed. */
const FLUSH_EVERY_MS = 500;
/** Events of one statement: to write them down takes about a millisecond, for which nobody is answered. */
const CHUNK = 250;

/** Writes what is buffered, off the way of those who read; what the database does not take now is written later. */
@Injectable()
export class AuditFlush {
  readonly #logger = new Logger('Audit');
  #last = Promise.resolve();
  #isFlushing = false;
  #isFailing = false;

  constructor(
    private readonly buffer: AuditBuffer,
    private readonly store: AuditStore,
    private readonly clock: Clock,
  ) {}

  @Interval(FLUSH_EVERY_MS)
  async tick(): Promise<void> {
    if (this.#isFlushing) return;
    try {
      await this.#run(false);
    } catch (error) {
      // Once for an outage, however long it lasts.
      if (!this.#isFailing) this.#logger.warn(`the audit trail waits to be written: ${messageOf(error)}`);
      this.#isFailing = true;
    }
  }

  /** Writes all that was noted until now. Throws Problem `store_unavailable`; then it goes on waiting. */
  async flush(): Promise<void> {
    await this.#run(true);
  }

  /** Writes all that is left, for as long as there is time: until `until` (monotonic). */
  async stop(until: number): Promise<void> {
    this.buffer.endMinute(true);
    for (;;) {
      // Behind one that is under way, which may have begun before the last was noted.
      await this.flush().catch(() => undefined);
      if (this.buffer.length === 0) return;
      if (this.clock.monotonic() >= until) break;
      await sleep(FLUSH_EVERY_MS / 5);
    }
    this.#logger.error(`${this.buffer.length} events of the audit trail could not be written in time`);
  }

  /** One after the other, so that none writes what another one has just written. */
  async #run(isLast: boolean): Promise<void> {
    const run = this.#last.then(() => this.#write(isLast));
    this.#last = run.catch(() => undefined);
    await run;
  }

  async #write(isLast: boolean): Promise<void> {
    this.#isFlushing = true;
    try {
      this.buffer.endMinute();
      const due = this.buffer.due(isLast);
      for (let from = 0; from < due.length; from += CHUNK) {
        const chunk = due.slice(from, from + CHUNK);
        // As they are now: what waits for its turn counts on.
        await this.store.keep(chunk.map((buffered) => buffered.write()));
        this.buffer.settle(chunk);
      }
      if (this.#isFailing) this.#logger.log('the audit trail is written again');
      this.#isFailing = false;
    } finally {
      this.#isFlushing = false;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
