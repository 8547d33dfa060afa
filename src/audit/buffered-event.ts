import { randomUUID } from 'node:crypto';
import type { Actor } from '../shared/actor.js';
import { columnsOf, type AuditColumns } from './audit-columns.js';
import type { AuditEvent } from './audit-event.js';

/** What is folded into one event is of one minute. */
export const MINUTE_MS = 60_000;

/**
 * An event that may still count on. There is one for each token that a caller reads in a minute, and each outlives V8's young
 * generation, which costs more than all that is done with it: so it is of few and small parts, none of them a request's own, or
 * V8 would make those of all requests where it makes what is kept.
 */
export class BufferedEvent {
  // What counting on looks at comes first, and holds no number that lies elsewhere, as large ones do: of all that is done for a
  // read, waiting for memory that is in no cache takes the most.
  count = 1;
  /** What of the count is written. */
  written = 0;
  readonly actorId: string;
  readonly #keyId: string | null;
  readonly #sourceIp: string | null;
  /** Milliseconds of its minute. */
  #lastMs: number;
  /** What of the count is being written. */
  #writing = 0;
  /** What of the count was told. */
  told = 0;
  /** Another one of the same token. */
  next: BufferedEvent | undefined = undefined;
  readonly #minute: number;
  /** As it was at first, but for its id. */
  readonly #columns: AuditColumns;
  #id: string | undefined;

  /** @param period in which it may count on */
  constructor(
    event: AuditEvent,
    nowMs: number,
    readonly period: number,
  ) {
    const { id, keyId, sourceIp } = event.actor;
    this.actorId = id;
    this.#keyId = keyId;
    this.#sourceIp = sourceIp;
    this.#lastMs = nowMs % MINUTE_MS;
    this.#minute = Math.floor(nowMs / MINUTE_MS);
    this.#columns = columnsOf(event, '', nowMs);
  }

  /** Is it about the same, by the same? */
  isOf(event: AuditEvent): boolean {
    const columns = this.#columns;
    return (
      (event.tokenVersion ?? null) === columns.token_version &&
      (event.tokenFingerprint ?? null) === columns.token_fingerprint &&
      (event.connectionId ?? null) === columns.connection_id &&
      event.action === columns.action &&
      event.outcome === columns.outcome &&
      (event.reason ?? null) === columns.reason &&
      event.resource === columns.resource &&
      this.isBy(event.actor)
    );
  }

  /** Was it this one, with the same key and from the same address? */
  isBy({ id, keyId, sourceIp }: Actor): boolean {
    return id === this.actorId && keyId === this.#keyId && sourceIp === this.#sourceIp;
  }

  get isWritten(): boolean {
    return this.written === this.count;
  }

  /** As it is now. */
  toColumns(): AuditColumns {
    // Node puts it together from twenty texts, each of which is kept until somebody reads it.
    const id = (this.#id ??= randomUUID());
    return { ...this.#columns, id, count: this.count, last_at: this.#minute * MINUTE_MS + this.#lastMs };
  }

  /** @param ms of its minute */
  countOn(ms: number): void {
    this.count += 1;
    this.#lastMs = ms;
  }

  /** As it is now, to be written. */
  write(): AuditColumns {
    this.#writing = this.count;
    return this.toColumns();
  }

  /** It is written, as it was by then. */
  settle(): void {
    this.written = this.#writing;
  }
}
