import { setTimeout as sleep } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { Notifications } from '../database/notifications.js';
import { Clock } from '../shared/clock.js';
import { Failures } from './failures.js';
import { KeyRing } from './key-ring.js';
import type { Alike } from './reseal.sql.js';
import { SealedWork } from './sealed-work.js';

/** Whoever hears nothing of the others finds out after so long at the most. Milliseconds. */
const LOOK_MS = 10_000;
/** Of so many looks one is for what is left over where nobody has said that there is anything. */
const LEFT_OVER_EVERY = 6;
/** Rows at a time: opening and sealing them takes less than 1 ms, for which nobody is served. */
const MOST_AT_ONCE = 25;
/** Of its time, a replica rests so many times as long as it works: where the database is slow, it is left to others. */
const RESTS = 9;
/** Replicas begin somewhere among so many, so that they seldom take the same; from the front where there are fewer. */
const SPREAD = 500;

/**
 * Seals anew what older data keys have sealed, at every replica, a few rows at a time and no faster than it is told. There is
 * nothing to resume but to go on: what is left to be done is what the rows say. Nobody is told of a row that was sealed anew:
 * it holds the same token, which opens as well as it lies in somebody's memory.
 */
@Injectable()
export class Resealing implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #failures: Failures;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #again = false;
  #looks = 0;
  /** What was locked, or failed, is looked at again soon. */
  #isLeft = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'encryptionKeys' | 'keyRotationRate'>,
    private readonly ring: KeyRing,
    private readonly work: SealedWork,
    private readonly notifications: Notifications,
    clock: Clock,
  ) {
    this.#failures = new Failures('sealing anew', new Logger('Keys'), clock);
  }

  /** Why nothing is sealed anew here; undefined where it is, or where there is nothing to do. */
  get why(): string | undefined {
    return this.#failures.why;
  }

  onApplicationBootstrap(): void {
    const look = (): void => void this.look();
    this.notifications.onChange('keys', look);
    this.notifications.onReconnect(look);
    // A key-encryption key that was lacking may be there now.
    this.settings.encryptionKeys.onChange(look);
    look();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  @Interval(LOOK_MS)
  async tick(): Promise<void> {
    this.#looks += 1;
    await this.look(this.#isLeft || this.why !== undefined || this.#looks % LEFT_OVER_EVERY === 0);
  }

  /** Looks which keys there are, and at what is left to be sealed by the newest. One look at a time. */
  async look(lookAnyway = true): Promise<void> {
    const isStopped = this.#stop.signal.aborted;
    // What is running may take long, and a stop, too; a new key is used at once.
    if (isStopped || this.#running) await this.ring.refresh().catch(() => undefined);
    if (isStopped) return;
    if (this.#running) this.#again = true;
    return (this.#running ??= this.#look(lookAnyway).finally(() => (this.#running = undefined)));
  }

  async #look(lookAnyway: boolean): Promise<void> {
    try {
      const before = this.ring.newest('seal').id;
      await this.ring.refresh();
      const isNew = this.ring.newest('seal').id !== before;
      if (this.ring.hasOlder && (isNew || lookAnyway)) await this.#sealAll();
      this.#failures.worked();
    } catch (error) {
      // The next look goes on. A database that is away holds up nothing where there is nothing to do.
      if (this.ring.hasOlder && !this.#stop.signal.aborted) this.#failures.failed(error);
    }
  }

  async #sealAll(): Promise<void> {
    do {
      this.#again = false;
      while (!this.#stop.signal.aborted && (await this.#sealOnce())) await this.ring.refresh();
    } while (this.#again);
  }

  /** True where it has moved something, so that there may be more. */
  async #sealOnce(): Promise<boolean> {
    const newest = this.ring.newest('seal').id;
    const left = await this.work.left(newest);
    this.#isLeft = left.length > 0;
    let moved = 0;
    for (const rows of left) moved += await this.#sealLike(rows, newest);
    return moved > 0;
  }

  async #sealLike(like: Alike, newest: string): Promise<number> {
    const rate = this.settings.keyRotationRate;
    let moved = 0;
    let offset = Math.floor(Math.random() * SPREAD);
    while (!this.#stop.signal.aborted && this.ring.newest('seal').id === newest) {
      const begunAt = performance.now();
      const picked = await this.work.pick(like, Math.min(MOST_AT_ONCE, rate), offset);
      const done = picked.length > 0 ? await this.work.reseal(like.table, picked) : 0;
      moved += done;
      if (done > 0) this.#failures.worked();
      // What is locked, or was changed meanwhile, is for the next round.
      if (done === 0 && offset === 0) return moved;
      if (done < MOST_AT_ONCE) offset = 0;
      const tookMs = performance.now() - begunAt;
      await this.#rest(Math.max((picked.length / rate) * 1_000 - tookMs, RESTS * tookMs));
    }
    return moved;
  }

  async #rest(ms: number): Promise<void> {
    if (ms <= 0) return;
    await sleep(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }
}
