import { randomUUID } from 'node:crypto';
import type { AuditEvent, AuditRow } from './audit-event.js';

/** An event that may still count on. */
export class BufferedEvent {
  readonly id = randomUUID();
  count = 1;
  /** What of the count is written, and when that was (monotonic milliseconds); what of it was told. */
  written = 0;
  writtenAt = -Infinity;
  told = 0;
  /** Nothing more is folded into it. */
  isOver = false;
  #lastMs: number;

  constructor(
    readonly event: AuditEvent,
    private readonly atMs: number,
  ) {
    this.#lastMs = atMs;
  }

  get isWritten(): boolean {
    return this.written === this.count;
  }

  get row(): AuditRow {
    const { event, id, count } = this;
    return { ...event, id, at: new Date(this.atMs), lastAt: new Date(this.#lastMs), count };
  }

  countOn(ms: number): void {
    this.count += 1;
    this.#lastMs = ms;
  }
}
