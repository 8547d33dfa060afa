import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Clock } from '../shared/clock.js';
import { Problem } from '../shared/problem.js';
import { within } from '../shared/within.js';
import { Database } from './database.js';
import type { Channel } from './channel.js';
import { Notifications } from './notifications.js';

interface CacheLimits<Row> {
  readonly channel: Channel;
  readonly most: number;
  /** How long what was last known is believed while the database is away, in milliseconds. */
  readonly lastKnownMs: number;
  /** Called with each row that is not remembered any more. */
  readonly forgotten: (row: Row) => void;
}

/** A row as this replica has read it. */
export interface Remembered<Row> {
  readonly row: Row;
  /** Monotonic milliseconds at which it was asked for: it is as the row was then, or later. */
  readonly readAt: number;
  /** How often the channel had been lost by then; DEAF where changes of it could not be heard. */
  readonly losses: number;
}

/** A row that is being read, for all who ask meanwhile. */
interface Reading<Row> {
  /**
   * Undefined once it is over: a Map leaves the tables behind that it outgrows, with all that was in them, and V8 keeps that until
   * it collects everything. All that is read would grow old there.
   */
  entry: Promise<Remembered<Row> | undefined> | undefined;
}

const DEAF = -1;
const MOST_TRIES = 3;
/** Read anew after this long all the same: clocks drift apart, and somebody may have changed a row and told nobody. Milliseconds. */
const GOOD_FOR_MS = 600_000;
/** Who can be told what was last known waits this long for a database that does not answer. Milliseconds. */
const PATIENCE_MS = 500;
/** Changes that are remembered while rows are being read: more, and what is being read is read again. */
const MOST_CHANGES = 10_000;

/**
 * Rows that this replica may answer from without asking the database, since it hears of every change of them: those that it
 * makes by itself before anybody is told that they are made, those of others within a millisecond or so. While it may have
 * missed one, every row is read anew; only where that fails, too, is it as it was last known, for a while.
 */
export class ReplicaCache<Row extends { readonly id: string }> {
  readonly #entries: LRUCache<string, Remembered<Row>>;
  /** Under which names a row is remembered, by its id: changes are told by that. */
  readonly #names = new Map<string, string[]>();
  readonly #reads = new Map<string, Reading<Row>>();
  /** Rows that changed while others were being read, and as the how manieth change. */
  readonly #changed = new Map<string, number>();
  #changes = 0;
  #forgottenChanges = 0;
  #losses = 0;
  #lostAt = -Infinity;

  constructor(
    private readonly limits: CacheLimits<Row>,
    private readonly database: Database,
    private readonly notifications: Notifications,
    private readonly clock: Clock,
  ) {
    const { channel, most } = limits;
    this.#entries = new LRUCache({
      max: most,
      dispose: ({ row }, name) => {
        this.#unname(row.id, name);
        limits.forgotten(row);
      },
    });
    database.onTold(channel, (id) => this.forget(id));
    notifications.onChange(channel, (id) => this.forget(id));
    notifications.onLost(() => {
      this.#losses += 1;
      this.#lostAt = clock.monotonic();
    });
  }

  /** How many rows are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** As the row is now; undefined where it has to be read to know. */
  current(name: string): Remembered<Row> | undefined {
    const entry = this.#entries.get(name);
    if (entry?.losses !== this.#losses || !this.notifications.isLive()) return undefined;
    return entry.readAt + GOOD_FOR_MS > this.clock.monotonic() ? entry : undefined;
  }

  /**
   * As `current`, or as it is read, once for all who ask meanwhile. Where the database is away, as it was last known to be:
   * then `isCertain` is false. Throws what `find` throws where nothing is known that is good enough.
   */
  async find(
    name: string,
    find: () => Promise<Row | undefined>,
  ): Promise<{ readonly entry: Remembered<Row>; readonly isCertain: boolean } | undefined> {
    const current = this.current(name);
    if (current) return { entry: current, isCertain: true };
    const last = this.#lastKnown(name);
    // That it is back is found out by those who have to wait for it anyway.
    if (last && this.database.isCut) return { entry: last, isCertain: false };
    const reading = this.#readOnce(name, find);
    if (!last) return certain(await reading);
    const read = reading.then(found, failed);
    // What changed unheard may have changed long ago: only that it cannot be read is a reason to go by it.
    const answer = last.losses === DEAF ? await read : await within(read, PATIENCE_MS);
    return answer ? certain(answer.entry) : { entry: last, isCertain: false };
  }

  /** The row has changed. */
  forget(id: string): void {
    this.#changes += 1;
    if (this.#reads.size > 0) this.#changed.set(id, this.#changes);
    if (this.#changed.size > MOST_CHANGES) this.#forgetChanges();
    for (const name of [...(this.#names.get(id) ?? [])]) this.#entries.delete(name);
  }

  #lastKnown(name: string): Remembered<Row> | undefined {
    const entry = this.#entries.get(name);
    if (!entry || this.limits.lastKnownMs === 0) return undefined;
    const { readAt, losses } = entry;
    const now = this.clock.monotonic();
    const heardUntil = losses === this.#losses ? now : losses === this.#losses - 1 ? this.#lostAt : readAt;
    return now - Math.max(readAt, heardUntil) <= this.limits.lastKnownMs ? entry : undefined;
  }

  #readOnce(name: string, find: () => Promise<Row | undefined>): Promise<Remembered<Row> | undefined> {
    const underWay = this.#reads.get(name)?.entry;
    if (underWay) return underWay;
    const reading: Reading<Row> = { entry: undefined };
    this.#reads.set(name, reading);
    return (reading.entry = this.#read(name, find, reading));
  }

  async #read(
    name: string,
    find: () => Promise<Row | undefined>,
    reading: Reading<Row>,
  ): Promise<Remembered<Row> | undefined> {
    try {
      for (let tries = 1; tries < MOST_TRIES; tries += 1) {
        const isLive = this.notifications.isLive();
        const losses = this.#losses;
        const changes = this.#changes;
        const readAt = this.clock.monotonic();
        const row = await find();
        // What is not there has no id by which it could be told that it was made.
        const changed = row ? (this.#changed.get(row.id) ?? this.#forgottenChanges) : this.#changes;
        if (this.#reads.size === 1) this.#forgetChanges();
        if (changed > changes) continue;
        if (row) {
          const entry = { row, readAt, losses: isLive && losses === this.#losses ? losses : DEAF };
          this.#remember(name, entry);
          return entry;
        }
        this.#entries.delete(name);
        return undefined;
      }
      // Somebody always changes something: it is as it is now, for those who have asked until now, and is not remembered.
      this.#reads.delete(name);
      const readAt = this.clock.monotonic();
      const row = await find();
      return row && { row, readAt, losses: DEAF };
    } finally {
      reading.entry = undefined;
      if (this.#reads.get(name) === reading) this.#reads.delete(name);
    }
  }

  #remember(name: string, entry: Remembered<Row>): void {
    this.#entries.set(name, entry);
    const names = this.#names.get(entry.row.id);
    if (!names) this.#names.set(entry.row.id, [name]);
    else if (!names.includes(name)) names.push(name);
  }

  #unname(id: string, name: string): void {
    const others = (this.#names.get(id) ?? []).filter((it) => it !== name);
    if (others.length > 0) this.#names.set(id, others);
    else this.#names.delete(id);
  }

  /** What is still being read counts as changed. */
  #forgetChanges(): void {
    this.#changed.clear();
    this.#forgottenChanges = this.#changes;
  }
}

/** Makes the caches of a replica. */
@Injectable()
export class ReplicaCaches {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly database: Database,
    private readonly notifications: Notifications,
    private readonly clock: Clock,
  ) {}

  /**
   * Of `most` rows at the most; what was asked for the longest ago is forgotten first. `channel` tells of their changes.
   * `forgotten` is called with each row that is not remembered any more, or is as another has been read.
   */
  of<Row extends { readonly id: string }>(
    channel: Channel,
    most: number,
    forgotten: (row: Row) => void = () => undefined,
  ): ReplicaCache<Row> {
    const lastKnownMs = this.settings.cache.withoutDatabaseS * 1_000;
    const limits = { channel, most, lastKnownMs, forgotten };
    return new ReplicaCache(limits, this.database, this.notifications, this.clock);
  }
}

function certain<Row>(
  entry: Remembered<Row> | undefined,
): { readonly entry: Remembered<Row>; readonly isCertain: true } | undefined {
  return entry && { entry, isCertain: true };
}

/** A row that is not there has been read, too. */
function found<T>(entry: T | undefined): { readonly entry: T | undefined } {
  return { entry };
}

/** The database is away; anything else is no reason to go on with what was. */
function failed(error: unknown): undefined {
  if (!(error instanceof Problem)) throw error;
}
