import { randomUUID } from 'node:crypto';
import type { Actor } from '../shared/actor.js';
import type { AuditEvent, AuditRow } from './audit-event.js';

/** What is folded into one event is of one minute. */
export const MINUTE_MS = 60_000;

/** An event that may still count on. */
export class BufferedEvent {
  // What counting on looks at comes first, and holds no number that lies elsewhere, as large ones do: of all that is done for a
  // read, waiting for memory that is in no cache takes the most.
  count = 1;
  /** What of the count is written. */
  written = 0;
  /** Nothing more is folded into it. */
  isOver = false;
  readonly #actorId: string;
  readonly #keyId: string | null;
  readonly #sourceIp: string | null;
  /** Milliseconds of its minute. */
  #lastMs: number;
  /** A copy: were a request's own objects kept, V8 would make those of all requests where it makes what is kept. */
  readonly event: AuditEvent;
  readonly id = randomUUID();
  /** When it was written (monotonic milliseconds), and what of it was told. */
  writtenAt = -Infinity;
  told = 0;

  constructor(
    event: AuditEvent,
    private readonly atMs: number,
  ) {
    const { id, keyId, sourceIp, requestId } = event.actor;
    this.event = { ...event, actor: { id, keyId, sourceIp, requestId } };
    this.#actorId = id;
    this.#keyId = keyId;
    this.#sourceIp = sourceIp;
    this.#lastMs = atMs % MINUTE_MS;
  }

  /** Was it this one, with the same key and from the same address? */
  isOf({ id, keyId, sourceIp }: Actor): boolean {
    return id === this.#actorId && keyId === this.#keyId && sourceIp === this.#sourceIp;
  }

  get isWritten(): boolean {
    return this.written === this.count;
  }

  get row(): AuditRow {
    const { event, id, count, atMs } = this;
    const lastMs = atMs - (atMs % MINUTE_MS) + this.#lastMs;
    return { ...event, id, at: new Date(atMs), lastAt: new Date(lastMs), count };
  }

  /** @param ms of its minute */
  countOn(ms: number): void {
    this.count += 1;
    this.#lastMs = ms;
  }
}
