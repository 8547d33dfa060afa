import { Injectable } from '@nestjs/common';
import type { Actor } from '../shared/actor.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { markTraced, type AuditEvent, type AuditRow } from './audit-event.js';
import { AuditLines } from './audit-lines.js';
import { BufferBound } from './buffer-bound.js';
import { BufferedEvent, MINUTE_MS } from './buffered-event.js';
import { ReadFolds } from './read-folds.js';

/** Seconds after which somebody who was refused may try again. */
const RETRY_AFTER_S = 5;
/** How long what was written and has counted on waits until it is written again, unless its minute is over before. */
const COUNT_EVERY_MS = 10_000;

/** An event as it is to be written; it may have counted on by the time that it is. */
export interface Pending {
  readonly row: AuditRow;
  readonly buffered: BufferedEvent;
}

/**
 * What was read and what was refused, until it is written. Reads are folded per caller, token, address and minute; a
 * permission that was refused stands alone. What does not fit is refused: nothing is handed out without a trace. On the
 * way of every token: what folds into an event that is there costs less than a microsecond.
 */
@Injectable()
export class AuditBuffer {
  /** Those of this minute into which reads are folded. */
  readonly #folds = new ReadFolds();
  /** Those that were never written, and those that have counted on since. */
  readonly #waiting = new Set<BufferedEvent>();
  #minute = NaN;

  constructor(
    private readonly clock: Clock,
    private readonly bound: BufferBound,
    private readonly lines: AuditLines,
    private readonly metrics: Metrics,
  ) {
    metrics.auditWaiting(bound.waiting, bound.rows);
  }

  /** Events of which something waits to be written, be it only how often. */
  get length(): number {
    return this.#waiting.size;
  }

  /**
   * Notes what is about to be answered; returns the event that it is part of. Throws Problem `store_unavailable` where there is
   * no room for it.
   */
  note(event: AuditEvent): BufferedEvent {
    const buffered = this.#add(event);
    if (buffered) return buffered;
    this.metrics.refusedUnaudited();
    // Nothing comes of this request, so that nothing more is to be noted of it.
    markTraced(event.actor);
    throw new Problem(
      'store_unavailable',
      'Too much of the audit trail waits to be written, of all callers or of this one, and nothing is answered without it; try again shortly.',
      { retry_after: RETRY_AFTER_S },
    );
  }

  /** As `note`, of what `buffered` is about, without looking for that; false where it is another's, or its minute is over. */
  noteAgain(buffered: BufferedEvent, actor: Actor): boolean {
    const now = this.clock.now().getTime();
    this.endMinute(false, now);
    if (buffered.isOver || !buffered.isOf(actor)) return false;
    this.#countOn(buffered, now);
    markTraced(actor);
    return true;
  }

  /** Notes what has been done already; where there is no room, that is counted, since nothing can be refused any more. */
  noteAnswered(event: AuditEvent): void {
    if (!this.#add(event)) this.metrics.refusedUnaudited();
  }

  /** All that was never written, and of what counts on what is due; `isLast`: all of that, too. */
  due(isLast: boolean): BufferedEvent[] {
    const due = isLast ? Infinity : this.clock.monotonic() - COUNT_EVERY_MS;
    return [...this.#waiting].filter(({ writtenAt, isOver }) => isOver || writtenAt <= due);
  }

  /** These are written, as they were. */
  settle(written: readonly Pending[]): void {
    const now = this.clock.monotonic();
    for (const { buffered, row } of written) {
      if (buffered.written === 0) {
        this.metrics.auditWritten(1);
        this.bound.giveBack(row.actor.id);
      }
      buffered.written = row.count;
      buffered.writtenAt = now;
      if (buffered.isWritten) this.#waiting.delete(buffered);
      if (buffered.told === 0 || buffered.isOver) this.#tell(buffered);
    }
    this.metrics.auditWaiting(this.bound.waiting, this.bound.rows);
  }

  /** Folds nothing more into what was folded, once the minute is over or `isLast`. */
  endMinute(isLast = false, now = this.clock.now().getTime()): void {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute === this.#minute && !isLast) return;
    this.#minute = minute;
    for (const buffered of this.#folds.drain()) {
      buffered.isOver = true;
      if (buffered.isWritten) this.#tell(buffered);
    }
  }

  /** Undefined where there is no room for it. */
  #add(event: AuditEvent): BufferedEvent | undefined {
    const now = this.clock.now().getTime();
    this.endMinute(false, now);
    const folded = this.#folds.find(event);
    if (folded) this.#countOn(folded, now);
    else if (!this.bound.hasRoomFor(event.actor.id)) return undefined;
    markTraced(event.actor);
    return folded ?? this.#begin(event, now);
  }

  #countOn(buffered: BufferedEvent, now: number): void {
    if (buffered.isWritten) this.#waiting.add(buffered);
    buffered.countOn(now - this.#minute * MINUTE_MS);
  }

  #begin(event: AuditEvent, now: number): BufferedEvent {
    const buffered = new BufferedEvent(event, now);
    this.bound.take(event.actor.id);
    this.#waiting.add(buffered);
    this.metrics.auditWaiting(this.bound.waiting, this.bound.rows);
    // Each that was denied stands alone.
    if (event.outcome === 'denied') {
      buffered.isOver = true;
      return buffered;
    }
    // However many different tokens are read within a minute, memory is bounded: some have two events then.
    if (this.#folds.size >= this.bound.rows) this.endMinute(true, now);
    this.#folds.add(buffered);
    return buffered;
  }

  /** Once at its beginning, and once more at the end where it has counted on: by its id, the second takes the place of the first. */
  #tell(buffered: BufferedEvent): void {
    if (buffered.told === buffered.count) return;
    buffered.told = buffered.count;
    this.lines.tell(buffered.row);
  }
}
