import { Injectable } from '@nestjs/common';
import type { Actor } from '../shared/actor.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { Metrics } from '../telemetry/metrics.js';
import { markTraced, type AuditEvent } from './audit-event.js';
import { AuditLines } from './audit-lines.js';
import { BufferBound } from './buffer-bound.js';
import { BufferedEvent, MINUTE_MS } from './buffered-event.js';
import { ReadFolds } from './read-folds.js';

/** Seconds after which somebody who was refused may try again. */
const RETRY_AFTER_S = 5;
/** How long what was written and has counted on waits at the most until it is written again; less where its minute is over. */
const COUNT_EVERY_MS = 10_000;

/** The period of what nothing is folded into. */
const NONE = -1;

/**
 * What was read and what was refused, until it is written. Reads are folded per caller, token, address and minute; a
 * permission that was refused stands alone. What does not fit is refused: nothing is handed out without a trace. On the
 * way of every token: what folds into an event that is there costs less than a microsecond.
 */
@Injectable()
export class AuditBuffer {
  /** Those of this period into which reads are folded. */
  #folds = new ReadFolds();
  /** Those that were never written, the oldest first. */
  #fresh: BufferedEvent[] = [];
  /** Those that were written and have counted on since. */
  #counted: BufferedEvent[] = [];
  /** When those are to be written again, all together; monotonic milliseconds. */
  #countedDueAt = -Infinity;
  /** Those of them that are to be by now, in their order. */
  #due: BufferedEvent[] = [];
  #minute = NaN;
  /** Within a minute; a new one begins where no more events can be held. */
  #period = 0;

  constructor(
    private readonly clock: Clock,
    private readonly bound: BufferBound,
    private readonly lines: AuditLines,
    private readonly metrics: Metrics,
  ) {
    metrics.watchAudit(bound);
  }

  /** Events of which something waits to be written, be it only how often. */
  get length(): number {
    return this.#fresh.length + this.#due.length + this.#counted.length;
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
    const now = this.clock.nowMs();
    this.endMinute(false, now);
    if (this.#isOver(buffered) || !buffered.isBy(actor)) return false;
    this.#countOn(buffered, now);
    markTraced(actor);
    return true;
  }

  /** Notes what has been done already; where there is no room, that is counted, since nothing can be refused any more. */
  noteAnswered(event: AuditEvent): void {
    if (!this.#add(event)) this.metrics.refusedUnaudited();
  }

  /** All that was never written, and what has counted on, once that is due or `isLast`. What does not get written is so again. */
  due(isLast: boolean): BufferedEvent[] {
    if (isLast || this.clock.monotonic() >= this.#countedDueAt) {
      this.#due = this.#due.concat(this.#counted);
      this.#counted = [];
    }
    return this.#fresh.concat(this.#due);
  }

  /** These, the next of those that were due, are written, as they were when they were to be. */
  settle(written: readonly BufferedEvent[]): void {
    const firsts = written.filter((buffered) => buffered.written === 0);
    this.#fresh.splice(0, firsts.length);
    this.#due.splice(0, written.length - firsts.length);
    this.metrics.auditWritten(firsts.length);
    for (const buffered of firsts) this.bound.giveBack(buffered.actorId);
    for (const buffered of written) {
      buffered.settle();
      // While it was written.
      if (!buffered.isWritten) this.#waitAgain(buffered);
      if (buffered.told === 0 || this.#isOver(buffered)) this.#tell(buffered);
    }
  }

  /** Folds nothing more into what was folded, once the minute is over or `isLast`. */
  endMinute(isLast = false, now = this.clock.nowMs()): void {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute === this.#minute && !isLast) return;
    this.#minute = minute;
    this.#period += 1;
    this.#countedDueAt = -Infinity;
    const folds = this.#folds;
    this.#folds = new ReadFolds();
    if (!this.lines.areTold) return;
    for (const buffered of folds.all()) if (buffered.isWritten) this.#tell(buffered);
  }

  #isOver({ period }: BufferedEvent): boolean {
    return period !== this.#period;
  }

  /** Undefined where there is no room for it. */
  #add(event: AuditEvent): BufferedEvent | undefined {
    const now = this.clock.nowMs();
    this.endMinute(false, now);
    const folded = this.#folds.find(event);
    if (folded) this.#countOn(folded, now);
    else if (!this.bound.hasRoomFor(event.actor.id)) return undefined;
    markTraced(event.actor);
    return folded ?? this.#begin(event, now);
  }

  #countOn(buffered: BufferedEvent, now: number): void {
    if (buffered.isWritten) this.#waitAgain(buffered);
    buffered.countOn(now - this.#minute * MINUTE_MS);
  }

  #begin(event: AuditEvent, now: number): BufferedEvent {
    // Each that was denied stands alone.
    const isAlone = event.outcome === 'denied';
    // However many different tokens are read within a minute, memory is bounded: some have two events then.
    if (!isAlone && this.#folds.size >= this.bound.rows) this.endMinute(true, now);
    const buffered = new BufferedEvent(event, now, isAlone ? NONE : this.#period);
    this.bound.take(event.actor.id);
    this.#fresh.push(buffered);
    if (!isAlone) this.#folds.add(event, buffered);
    return buffered;
  }

  #waitAgain(buffered: BufferedEvent): void {
    if (this.#isOver(buffered)) this.#countedDueAt = -Infinity;
    else if (this.#counted.length === 0) this.#countedDueAt = this.clock.monotonic() + COUNT_EVERY_MS;
    this.#counted.push(buffered);
  }

  /** Once at its beginning, and once more at the end where it has counted on: by its id, the second takes the place of the first. */
  #tell(buffered: BufferedEvent): void {
    if (!this.lines.areTold || buffered.told === buffered.count) return;
    buffered.told = buffered.count;
    this.lines.tell(buffered.toColumns());
  }
}
